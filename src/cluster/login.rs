//! The client of a connection, and logging in again: before credentials expire, and when the server no longer takes them.
//!
//! A session lives longer than a token. When one is about to expire, or after a 401, everything is made anew as at the start:
//! the kubeconfig is read (a person logs in elsewhere), the plugin runs, the token's file is read. At most one such renewal is
//! under way, in a task of its own, and after each there is a rest, so that a plugin that fails is not run for every request.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use chrono::Utc;
use kube::config::Config;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio::time::Instant;

use super::kubeconfig::entries::{certificate_ends, token_in};
use super::plugin::{self, Says};
use super::settings::{self, IN_CLUSTER};
use super::{ConnectOptions, Error};
use crate::text::Time;

/// How long a TCP and TLS connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Credentials are renewed this long before they expire.
const LEEWAY: Duration = Duration::from_secs(30);
/// How often a token's file is read again: client-go's period.
const FILE_AGE: Duration = Duration::from_secs(60);
/// How long a request waits for a renewal.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rests (seconds) between renewals that do not help, the last one again and again: a plugin may open a browser each time, ...
const RESTS: [u64; 5] = [5, 10, 20, 40, 60];
/// ... while reading the kubeconfig again bothers nobody.
const REST_OF_FILES: u64 = 5;

/// What connecting came to.
pub(super) struct Made {
    client: kube::Client,
    /// Host and port of the server, for messages.
    pub(super) host: String,
    pub(super) context: String,
    pub(super) default_namespace: String,
    expires: Option<Instant>,
    token_file: Option<(PathBuf, SecretString)>,
    has_plugin: bool,
    /// Until when the client certificate is valid.
    certificate_ends: Option<Time>,
}

/// Reads the kubeconfig, runs the plugin, makes a client.
pub(super) async fn make(options: &ConnectOptions, says: Option<&Says>) -> Result<Made, Error> {
    let (mut config, context) = settings::of(options)?;
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    let mut host = settings::host_of(&config.cluster_url);
    if let Some(through) = &config.proxy_url {
        host = format!("{host} through the proxy {}", settings::host_of(through));
    }
    let has_plugin = config.auth_info.exec.is_some();
    let mut expires = run_plugin(&mut config, says).await?;
    let user = &mut config.auth_info;
    let mut token_file = None;
    if let Some(path) = user.token_file.take().map(PathBuf::from) {
        let unreadable = |error| Error::Credentials(format!("cannot read the token file {}: {error}", path.display()));
        let token = token_in(&path).map_err(unreadable)?;
        user.token = Some(token.clone());
        (expires, token_file) = (Some(Instant::now() + FILE_AGE), Some((path, token)));
    }
    let certificate_ends = certificate_ends(&config.auth_info);
    let default_namespace = config.default_namespace.clone();
    // Some of the library's old auth-providers run a command while the client is built.
    let runtime = tokio::runtime::Handle::current();
    let building = tokio::task::spawn_blocking(move || {
        let _guard = runtime.enter();
        kube::Client::try_from(config)
    });
    let client = match building.await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(cannot_build(&host, &context, &error)),
        Err(_) => return Err(Error::Credentials("the login could not be run".to_owned())),
    };
    Ok(Made { client, host, context, default_namespace, expires, token_file, has_plugin, certificate_ends })
}

/// Puts what the plugin printed where the library looks for it; when that expires.
async fn run_plugin(config: &mut Config, says: Option<&Says>) -> Result<Option<Instant>, Error> {
    let user = &mut config.auth_info;
    // What stands in the entry itself comes first, as for kubectl.
    if user.token.is_some() || user.token_file.is_some() || user.username.is_some() {
        user.exec = None;
    }
    let Some(exec) = user.exec.take() else { return Ok(None) };
    let credential = plugin::run(&exec, says).await?;
    user.token = credential.token;
    if let Some((certificate, key)) = credential.certificate {
        let encode = |pem: String| base64::engine::general_purpose::STANDARD.encode(pem);
        user.client_certificate_data = Some(encode(certificate));
        user.client_key_data = Some(SecretString::from(encode(key)));
    }
    let left = credential.expires.map(|at| (at - Utc::now()).to_std().unwrap_or_default().saturating_sub(LEEWAY));
    Ok(left.map(|left| Instant::now() + left))
}

fn cannot_build(host: &str, context: &str, error: &kube::Error) -> Error {
    match Error::from_client(host, error) {
        Error::Unreachable { why, .. } => Error::BadContext { context: context.to_owned(), why },
        other => other,
    }
}

/// See the module.
pub(super) struct Login {
    /// How to log in again; `None`: there is no other way than this.
    again: Option<ConnectOptions>,
    says: Option<Says>,
    state: Mutex<State>,
    /// Counts renewals that ended.
    ended: watch::Sender<u64>,
}

struct State {
    client: kube::Client,
    expires: Option<Instant>,
    token_file: Option<(PathBuf, SecretString)>,
    has_plugin: bool,
    certificate_ends: Option<Time>,
    made: Instant,
    /// The server did not take the credentials of this client.
    rejected: bool,
    under_way: bool,
    /// No renewal before.
    rest: Option<Instant>,
    /// Renewals since credentials were last taken.
    tries: usize,
    failed: Option<Error>,
}

/// How the credentials stand.
enum Standing {
    Good(kube::Client),
    Failed(Error),
    /// To be renewed by the caller, or being renewed.
    Due,
    UnderWay,
}

impl Login {
    /// Of a connection that was made as `options` say.
    pub(super) fn new(made: Made, options: &ConnectOptions, says: Option<Says>) -> Self {
        let context = Some(made.context).filter(|name| name != IN_CLUSTER);
        let again = Some(ConnectOptions { context, ..options.clone() });
        let login = Self { again, says, ..Self::of_client(made.client) };
        {
            let mut state = login.lock();
            (state.expires, state.token_file, state.has_plugin) = (made.expires, made.token_file, made.has_plugin);
            state.certificate_ends = made.certificate_ends;
        }
        login
    }

    /// With a client of one's own, for tests.
    pub(super) fn of_client(client: kube::Client) -> Self {
        let state = State {
            client,
            expires: None,
            token_file: None,
            has_plugin: false,
            certificate_ends: None,
            made: Instant::now(),
            rejected: false,
            under_way: false,
            rest: None,
            tries: 0,
            failed: None,
        };
        Self { again: None, says: None, state: Mutex::new(state), ended: watch::Sender::new(0) }
    }

    /// The client to ask with; waits a moment for one whose credentials are good.
    ///
    /// # Errors
    /// Why there are no good credentials.
    pub(super) async fn client(self: &Arc<Self>) -> Result<kube::Client, Error> {
        let mut ended = self.ended.subscribe();
        match self.standing() {
            Standing::Good(client) => return Ok(client),
            Standing::Failed(error) => return Err(error),
            Standing::Due => {
                tokio::spawn(Arc::clone(self).renew());
            }
            Standing::UnderWay => {}
        }
        let in_time = tokio::time::timeout(PATIENCE, ended.changed()).await.is_ok();
        match self.standing() {
            Standing::Good(client) => Ok(client),
            Standing::Failed(error) => Err(error),
            Standing::Due | Standing::UnderWay if in_time => Err(Error::Unauthorized),
            Standing::Due | Standing::UnderWay => {
                Err(Error::Credentials(format!("logging in again has taken more than {}s", PATIENCE.as_secs())))
            }
        }
    }

    /// The server did not take the credentials of a request of that moment.
    pub(super) fn rejected(&self, asked: Instant) {
        let mut state = self.lock();
        state.rejected |= self.again.is_some() && asked >= state.made;
    }

    /// What is known of why credentials are not accepted: a server that looks at client certificates itself, as the API server
    /// does, answers 401 to one that has expired.
    pub(super) fn why_rejected(&self) -> Error {
        match self.lock().certificate_ends {
            Some(end) if end <= Utc::now() => Error::Credentials(format!(
                "its client certificate expired on {}. Fetch a new kubeconfig (kubeadm: `kubeadm certs renew`)",
                end.format("%Y-%m-%d")
            )),
            _ => Error::Unauthorized,
        }
    }

    /// The server took those of a request of that moment: whatever was refused before, nothing is to be renewed now.
    pub(super) fn accepted(&self, asked: Instant) {
        let mut state = self.lock();
        if (state.rejected || state.tries > 0) && asked >= state.made {
            (state.rejected, state.tries) = (false, 0);
            let soon = Instant::now() + Duration::from_secs(REST_OF_FILES);
            state.rest = state.rest.map(|until| until.min(soon));
        }
    }

    /// Ends when credentials were renewed after they were refused.
    pub(super) async fn renewed(&self) {
        let mut ended = self.ended.subscribe();
        while ended.changed().await.is_ok() {
            if self.lock().failed.is_none() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    fn standing(&self) -> Standing {
        let mut state = self.lock();
        let now = Instant::now();
        let stale = state.rejected || state.expires.is_some_and(|at| now >= at);
        if !stale || self.again.is_none() {
            return Standing::Good(state.client.clone());
        }
        if state.under_way {
            return Standing::UnderWay;
        }
        if state.rest.is_some_and(|until| now < until) {
            // What was renewed in vain is shown to the server again: its words are the reason then.
            return state.failed.clone().map_or_else(|| Standing::Good(state.client.clone()), Standing::Failed);
        }
        state.under_way = true;
        Standing::Due
    }

    async fn renew(self: Arc<Self>) {
        let made = match &self.again {
            Some(_) if self.file_is_the_same() => None,
            Some(options) => Some(make(options, self.says.as_ref()).await),
            None => None,
        };
        {
            let mut state = self.lock();
            state.under_way = false;
            match made {
                None => state.expires = Some(Instant::now() + FILE_AGE),
                Some(Ok(made)) => {
                    tracing::info!("logged in again");
                    (state.client, state.expires, state.token_file) = (made.client, made.expires, made.token_file);
                    (state.rejected, state.failed) = (false, None);
                    (state.has_plugin, state.made) = (made.has_plugin, Instant::now());
                    state.certificate_ends = made.certificate_ends;
                    state.rest();
                }
                Some(Err(error)) => {
                    tracing::warn!("cannot log in again");
                    state.failed = Some(error);
                    state.rest();
                }
            }
        }
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// True when the credentials are a file's that has not changed: nothing to renew, unless the server refuses them.
    fn file_is_the_same(&self) -> bool {
        let state = self.lock();
        let Some((path, known)) = state.token_file.as_ref().filter(|_| !state.rejected) else { return false };
        // A file that is gone for a moment while it is replaced is no reason to forget its token: client-go's rule.
        token_in(path).map_or(true, |token| token.expose_secret() == known.expose_secret())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rest(&mut self) {
        let long = RESTS.get(self.tries.min(RESTS.len() - 1)).copied().unwrap_or_default();
        let seconds = if self.has_plugin { long } else { REST_OF_FILES };
        self.rest = Some(Instant::now() + Duration::from_secs(seconds));
        self.tries += 1;
    }
}
