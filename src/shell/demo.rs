//! The practice cluster as the shell starts it: under the cockpit, or alone for other clients.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tempfile::TempDir;

use super::files;
use super::signals::Signals;
use crate::cli::DemoArgs;
use crate::cluster::ConnectOptions;
use crate::commands::Outcome;
use crate::practice::{Options, PracticeCluster, control};

/// The scenario of a practice cluster that was not asked for in detail.
const SCENARIO: &str = "night-shift";
/// Its seed: the one of `k3am demo`.
const SEED: u64 = 3;

/// What `k3am demo` was asked to start.
pub fn options(args: &DemoArgs) -> Options {
    let scenario = Some(args.scenario.clone());
    Options {
        speed: args.speed,
        seed: args.seed,
        scenario,
        pods: args.pods,
        events_per_second: args.events_per_second,
        ..Options::default()
    }
}

/// The practice cluster that one key starts.
pub fn default_options() -> Options {
    Options { seed: SEED, scenario: Some(SCENARIO.to_owned()), ..Options::default() }
}

/// A practice cluster with a kubeconfig in a directory of its own, which goes with it. The user's kubeconfig is not touched.
pub struct Practice {
    /// The cluster.
    pub cluster: PracticeCluster,
    home: TempDir,
}

impl Practice {
    /// Starts it. Blocks for a moment: call it where that is allowed.
    ///
    /// # Errors
    /// Unknown scenario, no free port, no temporary directory.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let cluster = PracticeCluster::start(options)?;
        let home = tempfile::Builder::new().prefix("k3am-practice-").tempdir()?;
        cluster.write_kubeconfig(home.path())?;
        Ok(Self { cluster, home })
    }

    /// How to connect to it.
    pub fn connect_options(&self) -> ConnectOptions {
        ConnectOptions { kubeconfig: Some(self.home.path().join("kubeconfig")), ..ConnectOptions::default() }
    }
}

/// `k3am demo --serve`: the server alone, until Ctrl-C.
pub fn serve(args: &DemoArgs) -> ExitCode {
    match serve_until_signal(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Outcome::refused(format!("{error:#}")).print(),
    }
}

fn serve_until_signal(args: &DemoArgs) -> anyhow::Result<()> {
    let cluster = Arc::new(PracticeCluster::start(&options(args))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let mut kubeconfigs = Kubeconfigs::default();
        announce(&cluster, args, &mut kubeconfigs)?;
        let mut out = std::io::stdout();
        if let Some(port) = args.control {
            let (address, orders) = control::listen(Arc::clone(&cluster), port).await?;
            tokio::spawn(orders);
            writeln!(out, "Faults on demand: curl http://{address}/ lists them, curl -X POST http://{address}/hang/20 is one.")?;
        }
        writeln!(out, "Ctrl-C ends it.")?;
        out.flush()?;
        signals.next().await;
        Ok(())
    })
}

/// Says where the cluster is and who may use it how. The first line is the admin's kubeconfig, for scripts.
fn announce(cluster: &PracticeCluster, args: &DemoArgs, kubeconfigs: &mut Kubeconfigs) -> anyhow::Result<()> {
    let port = cluster.address().port();
    let path = kubeconfigs.write(&format!("kubeconfig-{port}"), &cluster.kubeconfig())?;
    let shown = path.display();
    let mut out = std::io::stdout();
    writeln!(out, "{shown}")?;
    writeln!(out, "The practice cluster serves on http://{}. In another terminal:", cluster.address())?;
    writeln!(out, "  export KUBECONFIG={shown}")?;
    writeln!(out, "  kubectl get pods -A      or: k3am")?;
    if args.users {
        writeln!(out, "Users who may do less (KUBECONFIG=FILE:FILE merges them):")?;
        for (name, may, text) in cluster.kubeconfigs() {
            let path = kubeconfigs.write(&format!("kubeconfig-{port}-{name}"), &text)?;
            writeln!(out, "  {}  {may}", path.display())?;
        }
    }
    Ok(())
}

/// Kubeconfigs we wrote; they go when we go.
#[derive(Default)]
struct Kubeconfigs(Vec<PathBuf>);

impl Kubeconfigs {
    fn write(&mut self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = files::save("practice", name, text)?;
        self.0.push(path.clone());
        Ok(path)
    }
}

impl Drop for Kubeconfigs {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
