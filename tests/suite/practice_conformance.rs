//! Foreign clients against the practice cluster, over every kind and verb: the official kubectl 1.37, the distribution's kubectl,
//! and helm. `.ci/run` fetches the official ones; where a client is not found the test says so on stderr, and fails with `CI` set.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k3am::practice::access::Role;
use k3am::practice::{Options, PracticeCluster};
use serde_json::Value;

use crate::printed::kubectl::official;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/practice");

fn distribution() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join("kubectl")).find(|path| path.is_file())
}

/// A cluster of its own and a client that talks to it from a home of its own.
struct Client {
    program: PathBuf,
    cluster: PracticeCluster,
    home: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Client {
    fn open(what: &str, program: Option<PathBuf>) -> Option<Self> {
        let Some(program) = program else {
            assert!(std::env::var_os("CI").is_none(), "{what} is not there, and CI is set");
            let _ = writeln!(std::io::stderr(), "\n*** {what} is not there: the practice cluster was NOT tested with it ***\n");
            return None;
        };
        let cluster = PracticeCluster::start(&Options { speed: 20.0, ..Options::default() }).unwrap();
        let home = tempfile::tempdir().unwrap();
        let kubeconfig = cluster.write_kubeconfig(home.path()).unwrap();
        Some(Self { program, cluster, home, kubeconfig })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).env("HOME", self.home.path()).env("KUBE_EDITOR", "true");
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Runs a line of words (no quoting), which must succeed.
    fn ok(&self, line: &str) -> String {
        let (success, text) = self.run(&line.split_whitespace().collect::<Vec<_>>(), "");
        assert!(success, "{} {line}:\n{text}", self.program.display());
        text
    }

    fn refused(&self, line: &str) -> String {
        let (success, text) = self.run(&line.split_whitespace().collect::<Vec<_>>(), "");
        assert!(!success, "{} {line} should fail:\n{text}", self.program.display());
        text
    }

    fn apply(&self, yaml: &str) -> (bool, String) {
        self.run(&["apply", "-f", "-"], yaml)
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} -o json"))).unwrap()
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Every kind of the fixture through every verb that takes a file.
fn every_resource(client: &Client) {
    let file = format!("{FIXTURES}/every-resource.yaml");
    let count = std::fs::read_to_string(&file).unwrap().lines().filter(|line| line.starts_with("kind: ")).count();
    assert!(count >= 42, "{count}");
    let tried = client.ok(&format!("apply --dry-run=client -f {file}"));
    assert_eq!(tried.lines().filter(|line| line.contains("created (dry run)")).count(), count, "{tried}");
    let made = client.ok(&format!("apply --validate=strict -f {file}"));
    assert_eq!(made.lines().filter(|line| line.ends_with(" created")).count(), count, "{made}");
    let again = client.ok(&format!("apply --validate=strict -f {file}"));
    // kubectl itself patches the selector of a budget each time (its Go type says `patchStrategy: replace`). The rules of webhooks
    // name their scope: the server defaults it, the list is atomic, and kubectl would find it changed each time as well.
    let same = again.lines().filter(|line| line.ends_with(" unchanged") || line.starts_with("poddisruptionbudget")).count();
    assert_eq!(same, count, "a second apply changes nothing: {again}");
    client.ok("wait --for=condition=established crd/widgets.shop.example.com --timeout=60s");
    let widget = "apiVersion: shop.example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: every}\nspec: {size: 3}\n";
    client.until("the new kind is served", |client| client.apply(widget).0);

    let listed = client.json(&format!("get -f {file}"));
    assert_eq!(listed["items"].as_array().unwrap().len(), count);
    for object in listed["items"].as_array().unwrap() {
        let metadata = &object["metadata"];
        assert!(metadata["uid"].is_string() && metadata["resourceVersion"].is_string(), "{object}");
        assert!(metadata["creationTimestamp"].is_string(), "{object}");
    }
    let wide = client.ok(&format!("get -o wide -f {file}"));
    for heading in ["REFERENCE", "ALLOWED DISRUPTIONS", "PROVISIONER", "ROLE", "WEBHOOKS", "HOLDER", "POD-SELECTOR", "MISSINGPL"]
    {
        assert!(wide.contains(heading), "{heading} in {wide}");
    }
    client.ok(&format!("label -f {file} seen=yes"));
    client.ok(&format!("annotate -f {file} example.com/note=here"));
    assert_eq!(client.json(&format!("get -f {file}"))["items"][1]["metadata"]["labels"]["seen"], "yes");
    let described = client.ok(&format!("describe -f {file}"));
    for part in ["Name:", "Access Modes:", "Resource Quotas", "Min available:", "Port:", "Subjects:", "PolicyRule:"] {
        assert!(described.contains(part), "{part} in {described}");
    }
    client.ok(&format!("diff -f {file}"));
    let server_side = client.ok(&format!("apply --server-side --force-conflicts -f {file}"));
    assert_eq!(server_side.lines().filter(|line| line.ends_with("serverside-applied")).count(), count, "{server_side}");

    let table = client.ok("get widgets -n every");
    assert!(table.contains("SIZE") && table.contains("COLOUR") && table.contains("red"), "{table}");
    client.ok("scale widget/w -n every --replicas=5");
    assert_eq!(client.json("get wd w -n every")["spec"]["size"], 5);
    assert_eq!(client.json("get widgets.v1beta1.shop.example.com w -n every")["apiVersion"], "shop.example.com/v1beta1");
    let explained = client.ok("explain widget.spec.size");
    assert!(explained.contains("How big it is."), "{explained}");
    let wrong = client.apply(&widget.replace("{size: 3}", "{size: 0, colour: blue}")).1;
    assert!(wrong.contains("spec.size in body should be greater than or equal to 1"), "{wrong}");
    let strange = client.apply(&widget.replace("{size: 3}", "{size: 2, weight: 1}")).1;
    assert!(strange.contains("unknown field \"spec.weight\""), "{strange}");

    for kind in client.ok("api-resources --verbs=list -o name").split_whitespace() {
        if !kind.contains("metrics.k8s.io") {
            // kubectl takes the first resource whose name begins so, and what follows for fields: of two `events` the core's.
            let asked = if kind == "events.events.k8s.io" { "events --api-version=events.k8s.io/v1" } else { kind };
            let explained = client.ok(&format!("explain {asked}"));
            assert!(explained.contains("KIND:") && explained.contains("FIELDS:"), "{kind}: {explained}");
        }
    }
    let old =
        client.ok("get horizontalpodautoscalers.v1.autoscaling one -n every -o jsonpath={.spec.targetCPUUtilizationPercentage}");
    assert_eq!(old, "70");
    client.until("events of both groups", |client| {
        let new = client.ok("get events.v1.events.k8s.io -n every -o jsonpath={.items[*].regarding.name}");
        new.contains("one") && client.ok("get events -n every --field-selector involvedObject.kind=Pod").contains("pod/one")
    });
    // The namespace goes first, and may have taken the others with it.
    client.ok(&format!("delete --wait=false --ignore-not-found -f {file}"));
    client.until("the kind is gone with its definition", |client| !client.run(&["get", "widgets", "-A"], "").0);
    client.until("the namespace is gone", |client| !client.run(&["get", "namespace", "every"], "").0);
}

/// What `kubectl create` makes with typed clients, which send protobuf.
fn every_create(client: &Client) {
    client.ok("create namespace made");
    for (line, kind) in [
        ("role a --verb=get,list --resource=pods --resource-name=x", "role"),
        ("rolebinding a --role=a --user=u --serviceaccount=made:default", "rolebinding"),
        ("clusterrole made-a --verb=get --non-resource-url=/metrics", "clusterrole"),
        ("clusterrolebinding made-a --clusterrole=made-a --group=g", "clusterrolebinding"),
        ("cronjob a --image=busybox --schedule=@hourly -- sleep 1", "cronjob"),
        ("job a --image=busybox -- sleep 1", "job"),
        ("ingress a --class=c --rule=a.example.com/x*=svc:80,tls=cert", "ingress"),
        ("poddisruptionbudget a --selector=app=x --min-available=50%", "pdb"),
        ("priorityclass made-a --value=5 --description=five", "priorityclass"),
        ("quota a --hard=pods=50,configmaps=20", "quota"),
        ("serviceaccount a", "serviceaccount"),
        ("service nodeport a --tcp=80:8080", "service"),
        ("configmap a --from-literal=k=v", "configmap"),
        ("secret generic a --from-literal=k=v", "secret"),
        ("deployment a --image=nginx:1.27 --replicas=1 --port=80", "deployment"),
    ] {
        let made = client.ok(&format!("create -n made {line}"));
        assert!(made.contains("created"), "{line}: {made}");
        let name = if line.contains("made-a") { "made-a" } else { "a" };
        let object = client.json(&format!("get {kind} {name} -n made"));
        match kind {
            "role" => assert_eq!(object["rules"][0]["resourceNames"][0], "x"),
            "clusterrole" => assert_eq!(object["rules"][0]["nonResourceURLs"][0], "/metrics"),
            "rolebinding" => assert_eq!(object["subjects"][1]["kind"], "ServiceAccount"),
            "ingress" => {
                assert_eq!(object["spec"]["rules"][0]["http"]["paths"][0]["pathType"], "Prefix");
                assert_eq!(object["spec"]["tls"][0]["secretName"], "cert");
            }
            "pdb" => assert_eq!(object["spec"]["minAvailable"], "50%"),
            "priorityclass" => assert_eq!(object["value"], 5),
            "quota" => assert_eq!(object["spec"]["hard"]["configmaps"], "20"),
            "cronjob" => assert_eq!(object["spec"]["schedule"], "@hourly"),
            _ => {}
        }
    }
    assert!(client.ok("create token a -n made").starts_with("ey"));
    client.ok("autoscale deployment a -n made --min=1 --max=3 --cpu-percent=60");
    assert_eq!(client.json("get hpa a -n made")["spec"]["maxReplicas"], 3);
    client.ok("run web -n made --image=nginx:1.27 --port=80");
    client.ok("wait -n made --for=condition=Ready pod/web --timeout=60s");
    client.ok("set image pod/web web=nginx:1.27-alpine -n made");
    client.ok("rollout restart deployment/a -n made");
    client.ok("rollout status deployment/a -n made --timeout=60s");
    client.ok("edit deployment/a -n made");
    client.ok("patch deployment a -n made --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":2}]");
    client.ok("patch deployment a -n made --subresource=scale --type=merge -p {\"spec\":{\"replicas\":1}}");
    client.ok("get deployment a -n made --subresource=status");
    let unknown = client.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd, namespace: made}\ndat: {a: b}\n").1;
    assert!(unknown.contains("strict decoding error: unknown field \"dat\""), "{unknown}");
    let wrong = client.refused("create -n made deployment B --image=nginx");
    assert!(wrong.contains("a lowercase RFC 1123 subdomain"), "{wrong}");
}

/// Streams: exec, port forwarding, and a shell.
fn streams(client: &Client) {
    client.ok("run web -n default --image=nginx:1.27 --port=80 --env=COLOUR=red");
    client.ok("wait -n default --for=condition=Ready pod/web --timeout=60s");
    let (success, text) = client.run(&["exec", "web", "--", "sh", "-c", "echo $COLOUR; exit 3"], "");
    assert!(!success && text.contains("red") && text.contains("exit code 3"), "{text}");
    let (success, text) = client.run(&["exec", "-i", "web", "--", "sh"], "hostname\nls /etc\n");
    assert!(success && text.contains("web") && text.contains("resolv.conf"), "{text}");
    assert!(client.refused("exec web -- nope").contains("executable file not found in $PATH"));
    assert!(client.refused("exec web -c nope -- ls").contains("nope"));
    let note = client.home.path().join("note");
    std::fs::write(&note, [b"told\n".as_slice(), &[0, 255, 3, 4]].concat()).unwrap();
    client.ok(&format!("cp {} default/web:/tmp/note", note.display()));
    assert!(client.ok("exec web -- cat /tmp/note").contains("told"));
    client.ok(&format!("cp default/web:/tmp/note {}.back", note.display()));
    assert_eq!(std::fs::read(&note).unwrap(), std::fs::read(note.with_extension("back")).unwrap());
    assert!(client.refused("exec web -- tar cf - /nope").contains("/nope: No such file"));
    client.ok("run lost --image=nginx:1.27 --overrides={\"spec\":{\"nodeSelector\":{\"no\":\"where\"}}}");
    assert!(client.refused("exec lost -- ls").contains("pod lost does not have a host assigned"));
    client.ok("run stuck --image=ghcr.io/acme/fastapi:2.42");
    client.until("it is on a node", |client| !client.ok("get pod stuck -o jsonpath={.status.hostIP}").is_empty());
    let waiting = client.refused("exec stuck -- ls");
    assert!(waiting.contains("unable to upgrade connection: container not found (\"stuck\")"), "{waiting}");
    over_spdy(client);
    forward(client, "true");
    forward(client, "false");
}

/// `exec` and `attach` as older clients do them; one that no longer knows SPDY ignores the wish.
fn over_spdy(client: &Client) {
    let run = |line: &[&str], input: &str| -> (bool, String) {
        let mut command = client.command(line);
        command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false").stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
        let typing = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        typing.join().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (success, said) = run(&["exec", "-v=7", "web", "--", "sh", "-c", "echo $COLOUR; ls /nope; exit 3"], "");
    assert!(!success && said.contains("red\n") && said.contains("No such file") && said.contains("exit code 3"), "{said}");
    let (version, posts) = (client.ok("version --client"), said.contains("POST ") && !said.contains("websocket"));
    let minor: u32 = version.split("v1.").nth(1).and_then(|rest| rest.split('.').next()).unwrap().parse().unwrap();
    assert!(posts || minor > 34, "a kubectl of 1.{minor} speaks SPDY when it is told to: {said}");
    let (success, said) = run(&["exec", "-i", "web", "--", "sh"], "hostname\nls /etc\n");
    assert!(success && said.contains("web") && said.contains("resolv.conf"), "{said}");
    let long = "all of it comes back\n".repeat(20_000);
    let (success, said) = run(&["exec", "-i", "web", "--", "cat"], &long);
    assert!(success && said == long, "{} of {} bytes", said.len(), long.len());
    let (success, said) = run(&["exec", "web", "--", "nope"], "");
    assert!(!success && said.contains("executable file not found in $PATH"), "{said}");
    let (success, said) = run(&["exec", "lost", "--", "ls"], "");
    assert!(!success && said.contains("pod lost does not have a host assigned"), "{said}");
}

/// Port forwarding, over a websocket or over SPDY alone.
fn forward(client: &Client, websockets: &str) {
    let mut forward = client.command(&["port-forward", "pod/web", ":80"]);
    forward.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets);
    let mut child = forward.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut said, mut first) = (BufReader::new(child.stdout.take().unwrap()), String::new());
    said.read_line(&mut first).unwrap();
    let port: u16 = first.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    for path in ["one", "two"] {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(connection, "GET /{path} HTTP/1.1\r\nHost: web\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = connection.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("web port 80: GET /{path}")), "{answer}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Rights, waiting, draining, and the rest a person on call types.
fn rights_and_duty(client: &mut Client) {
    assert!(client.ok("auth whoami").contains("kubernetes-admin"));
    client.ok("create rolebinding viewers --clusterrole=view --user=vera -n default");
    assert_eq!(client.ok("auth can-i list pods --as=vera -n default").trim(), "yes");
    assert_eq!(client.refused("auth can-i delete pods --as=vera -n default").trim(), "no");
    assert!(client.ok("auth can-i --list --as=vera -n default").contains("pods/log"));
    assert!(client.refused("get secrets --as=vera -n default").contains("cannot list resource \"secrets\""));
    for (name, role, can, cannot) in [
        ("reader", Role::Reader, "get nodes", "delete pod x -n default"),
        ("poddy", Role::PodsOnly, "get pods -A", "get services -A"),
        ("blind", Role::NoNamespaceList, "get deployments -A", "get namespaces"),
        ("nobody", Role::Nothing, "version", "get pods -n default"),
    ] {
        let own = client.home.path().join(name);
        std::fs::write(&own, client.cluster.kubeconfig_for(name, role)).unwrap();
        let admin = std::mem::replace(&mut client.kubeconfig, own);
        client.ok(can);
        assert!(client.refused(cannot).contains("orbidden"), "{name} {cannot}");
        client.kubeconfig = admin;
    }
    client.ok("create deployment shop --image=nginx:1.27 --replicas=2");
    client.ok("create poddisruptionbudget shop --selector=app=shop --min-available=2");
    client.ok("rollout status deployment/shop --timeout=60s");
    let counted = client.ok("get --raw /metrics");
    let denied = "apiserver_request_total{code=\"403\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"secrets\",\
                  scope=\"namespace\",subresource=\"\",verb=\"LIST\",version=\"v1\"} 1\n";
    assert!(counted.contains(denied), "{counted}");
    let kept = client.refused("delete namespace default");
    assert!(kept.contains("namespaces \"default\" is forbidden: this namespace may not be deleted"), "{kept}");
    client.ok("expose deployment shop --port=80");
    client.until("endpoints are listed", |client| {
        client.ok("get endpoints shop -o jsonpath={.subsets[*].addresses[*].targetRef.name}").matches("shop-").count() == 2
    });
    assert!(client.ok("get endpoints").contains("Warning: v1 Endpoints is deprecated in v1.33+"));
    client.ok("delete service shop");
    client.until("endpoints go with their service", |client| !client.ok("get endpoints -o name").contains("shop"));
    assert!(client.ok("get priorityclasses").contains("system-node-critical"));
    server_itself(client);
    own_objects(client);
    controllers_speak(client);
    policies(client);
    certificates(client);
    in_between(client);
    budget_holds_a_drain(client);
    client.ok("cordon node1");
    assert!(client.ok("get nodes").contains("SchedulingDisabled"));
    client.ok("uncordon node1");
    client.ok("taint nodes node1 a=b:NoSchedule");
    assert!(client.ok("top nodes").contains("CPU"));
    assert!(client.ok("cluster-info").contains("control plane"));
    assert!(client.ok("get apiservices").contains("v1.apps"));
    assert!(client.ok("get clusterroles").contains("cluster-admin"));
}

/// What controllers say, in the sources' words.
fn controllers_speak(client: &Client) {
    client.ok("create namespace said");
    let condition = |kind: &str, name: &str, of: &str| -> String {
        let path = format!("jsonpath={{.status.conditions[?(@.type==\"{of}\")]['status','reason','message']}}");
        client.run(&["get", kind, name, "-n", "said", "-o", &path], "").1
    };
    let said = |name: &str| client.ok(&format!("get events -n said --field-selector involvedObject.name={name}"));
    client.ok("create deployment web --image=nginx:1.27 -n said");
    client.ok("rollout status deployment/web -n said --timeout=60s");
    let hpa = |name: &str, target: &str| {
        let manifest = format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: {name}, namespace: said}}\nspec:\n  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {target}}}\n  minReplicas: 2\n  maxReplicas: 3\n  metrics: [{{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 50}}}}}}]\n"
        );
        assert!(client.apply(&manifest).0);
    };
    hpa("lost", "nothing");
    client.until("no target", |_| said("lost").contains("FailedGetScale"));
    assert!(said("lost").contains("  deployments.apps \"nothing\" not found"), "{}", said("lost"));
    let able = condition("hpa", "lost", "AbleToScale");
    let why = "the HPA controller was unable to get the target's current scale: deployments.apps \"nothing\" not found";
    assert_eq!(able, format!("False FailedGetScale {why}"));
    hpa("web", "web");
    client.until("too few are brought back", |_| {
        said("web").contains("New size: 2; reason: Current number of replicas below Spec.MinReplicas")
    });
    client.until("no request", |_| said("web").contains("FailedComputeMetricsReplicas"));
    let missing = "failed to get cpu utilization: missing request for cpu in container nginx of Pod web-";
    let seen = said("web");
    assert!(
        seen.contains(&format!(
            "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {missing}"
        )),
        "{seen}"
    );
    let active = condition("hpa", "web", "ScalingActive");
    assert!(
        active.starts_with(&format!("False FailedGetResourceMetric the HPA was unable to compute the replica count: {missing}")),
        "{active}"
    );
    client.ok("scale deployment web -n said --replicas=0");
    client.until("switched off", |_| condition("hpa", "web", "ScalingActive").starts_with("False ScalingDisabled"));
    assert!(condition("hpa", "web", "AbleToScale").starts_with("True SucceededGetScale"));

    autoscalers_speak(client);
    client.ok("create cronjob nightly --image=busybox --schedule=@yearly -n said -- sleep 600");
    client.ok("create job once --from=cronjob/nightly -n said");
    client.until("a job by hand is told", |_| said("nightly").contains("UnexpectedJob"));
    assert!(said("nightly").contains("Saw a job that the controller did not create or forgot: once"));
    assert_eq!(client.ok("get cronjob nightly -n said -o jsonpath={.status.active}"), "");

    client.ok("create poddisruptionbudget none --selector=app=absent --min-available=1 -n said");
    client.until("nothing matches", |_| said("none").contains("No matching pods found"));
    client.ok("run alone --image=nginx:1.27 -l app=alone -n said");
    client.ok("create poddisruptionbudget some --selector=app=alone --min-available=1 -n said");
    client.ok("create poddisruptionbudget share --selector=app=alone --min-available=50% -n said");
    let expects = |name: &str| {
        client.ok(&format!("get pdb {name} -n said -o jsonpath={{.status.expectedPods}}/{{.status.currentHealthy}}"))
    };
    client.until("a number counts pods as they are", |_| expects("some") == "1/1");
    client.until("a share counts only what is managed", |_| expects("share") == "0/1");
    budgets_speak(client);
    jobs_speak(client);
    bounds_speak(client);
    client.ok("delete namespace said --wait=false");
}

/// Expressions that decide: of policies, and of webhooks that are asked only for some.
fn policies(client: &Client) {
    let deployment = |name: &str, replicas: i64| {
        client.apply(&format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: ruled}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: {name}}}}}\n  template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: a, image: \"nginx:1.27\"}}]}}}}\n"
        ))
    };
    client.ok("create namespace ruled");
    client.ok("label namespace ruled ruled=yes");
    let rules = "[{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]";
    let policy = |name: &str, action: &str, validation: &str| {
        format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {name}}}\nspec:\n  matchConstraints: {{resourceRules: {rules}}}\n  variables: [{{name: most, expression: \"namespaceObject.metadata.labels['ruled'] == 'yes' ? 3 : 9\"}}]\n  validations: [{validation}]\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: {name}}}\nspec: {{policyName: {name}, validationActions: [{action}], matchResources: {{namespaceSelector: {{matchLabels: {{ruled: \"yes\"}}}}}}}}\n"
        )
    };
    assert!(client.apply(&policy("few", "Deny", "{expression: object.spec.replicas <= variables.most}")).0);
    let why = "ValidatingAdmissionPolicy 'few' with binding 'few' denied request: failed expression: object.spec.replicas <= variables.most";
    let (success, said) = deployment("many", 4);
    assert!(!success && said.contains("The deployments \"many\" is invalid") && said.contains(why), "{said}");
    assert!(deployment("fits", 3).0);
    let refused = client.refused("patch deployment fits -n ruled --type=merge -p {\"spec\":{\"replicas\":7}}");
    assert!(refused.contains(why), "{refused}");
    client.ok("create deployment elsewhere -n default --image=nginx:1.27 --replicas=5");
    let told = "{expression: \"object.metadata.name.startsWith('fit')\", messageExpression: \"'not ' + object.metadata.name + ' of ' + request.userInfo.username\"}";
    assert!(client.apply(&policy("named", "Warn", told)).0);
    let (success, said) = deployment("other", 1);
    let warning =
        "Warning: Validation failed for ValidatingAdmissionPolicy 'named' with binding 'named': not other of kubernetes-admin";
    assert!(success && said.contains(warning), "{said}");
    let (success, said) = client.apply(&policy("broken", "Deny", "{expression: object.spec.replicas <}"));
    assert!(!success && said.contains("spec.validations[0].expression: Invalid value: \"object.spec.replicas <\": compilation failed: ERROR: <input>:1:23: Syntax error"), "{said}");
    let webhook = |condition: &str| {
        client.apply(&format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{name: gone}}\nwebhooks:\n- name: gone.example.com\n  admissionReviewVersions: [v1]\n  sideEffects: None\n  clientConfig: {{service: {{name: gone, namespace: ruled}}}}\n  namespaceSelector: {{matchLabels: {{ruled: \"yes\"}}}}\n  matchConditions: [{{name: some, expression: \"{condition}\"}}]\n  rules: {rules}\n"
        ))
    };
    assert!(webhook("!('system:masters' in request.userInfo.groups) || object.metadata.name == 'watched'").0);
    assert!(deployment("free", 1).0, "the condition leaves it out");
    let (success, said) = deployment("watched", 1);
    assert!(
        !success && said.contains("failed calling webhook \"gone.example.com\"") && said.contains("service \"gone\" not found"),
        "{said}"
    );
    assert!(webhook("object.spec.nothing == 1").0);
    let (success, said) = deployment("free", 2);
    assert!(!success && said.contains("expression 'object.spec.nothing == 1' resulted in error: no such key: nothing"), "{said}");
    let (success, said) = webhook("authorizer.allowed()");
    assert!(!success && said.contains("undeclared reference to 'authorizer' (in container '')"), "{said}");
    client.ok("delete validatingwebhookconfiguration gone");
    client.ok("delete validatingadmissionpolicy,validatingadmissionpolicybinding few named");
    client.ok("delete namespace ruled --wait=false");
    client.ok("delete deployment elsewhere -n default");
}

/// Jobs that are numbered, suspended and resumed, of a queue, and cleared away when their time is over.
fn jobs_speak(client: &Client) {
    let job = |name: &str, spec: &str, command: &str| {
        let manifest = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, namespace: said}}\nspec:\n  {spec}\n  template: {{spec: {{restartPolicy: Never, containers: [{{name: a, image: \"busybox:1.36\", command: [{command}]}}]}}}}\n"
        );
        assert!(client.apply(&manifest).0);
    };
    let status = |name: &str| client.json(&format!("get job {name} -n said"))["status"].clone();
    let said = |name: &str| client.ok(&format!("get events -n said --field-selector involvedObject.name={name}"));
    job("numbered", "completions: 3\n  parallelism: 2\n  completionMode: Indexed", "sleep, \"5\"");
    client.until("all numbers are done", |_| status("numbered")["completedIndexes"] == "0-2");
    let pods = client.json("get pods -n said -l job-name=numbered");
    let first = pods["items"].as_array().unwrap().iter().find(|pod| pod["spec"]["hostname"] == "numbered-0").unwrap();
    assert!(first["metadata"]["name"].as_str().unwrap().starts_with("numbered-0-"), "{first}");
    assert_eq!(first["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], "0");
    assert_eq!(first["spec"]["containers"][0]["env"][0]["name"], "JOB_COMPLETION_INDEX");
    assert!(client.ok("describe job numbered -n said").contains("Completed Indexes:  0-2"));
    job("later", "suspend: true", "sleep, \"600\"");
    client.until("it is suspended", |client| client.ok("get job later -n said --no-headers").contains("Suspended"));
    assert!(status("later").get("startTime").is_none() && said("later").contains("Job suspended"));
    client.ok("patch job later -n said --type=merge -p {\"spec\":{\"suspend\":false}}");
    client.until("it is resumed", |_| status("later")["active"] == 1 && said("later").contains("Job resumed"));
    client.ok("patch job later -n said --type=merge -p {\"spec\":{\"suspend\":true}}");
    client.until("its pod is stopped", |_| said("later").contains("Deleted pod: later-"));
    job("queue", "parallelism: 2", "sleep, \"5\"");
    assert!(client.json("get job queue -n said")["spec"].get("completions").is_none());
    client.until("the queue is empty", |client| client.ok("get job queue -n said --no-headers").contains("2/1 of 2"));
    job("brief", "ttlSecondsAfterFinished: 5", "\"true\"");
    client.until("it is cleared away", |client| !client.run(&["get", "job", "brief", "-n", "said"], "").0);
}

/// Bounds of a limit range, and what validation says.
fn bounds_speak(client: &Client) {
    let range = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: bounds, namespace: said}\nspec:\n  limits:\n  - {type: Container, default: {memory: 64Mi}, maxLimitRequestRatio: {memory: \"2\"}}\n  - {type: Pod, max: {memory: 1Gi}}\n  - {type: PersistentVolumeClaim, max: {storage: 5Gi}}\n";
    assert!(client.apply(range).0);
    client.ok("run filled --image=nginx:1.27 -n said");
    let filled = client.json("get pod filled -n said");
    let why = "LimitRanger plugin set: memory request for container filled; memory limit for container filled";
    assert_eq!(filled["metadata"]["annotations"]["kubernetes.io/limit-ranger"], why);
    let pod = |resources: &str| {
        let spec = format!("{{containers: [{{name: a, image: nginx, resources: {resources}}}]}}");
        client.apply(&format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: wide, namespace: said}}\nspec: {spec}\n")).1
    };
    let refused = pod("{requests: {memory: 10Mi}, limits: {memory: 40Mi}}");
    assert!(
        refused.contains("memory max limit to request ratio per Container is 2, but provided ratio is 4.000000"),
        "{refused}"
    );
    let refused = pod("{limits: {memory: 2Gi}}");
    assert!(refused.contains("maximum memory usage per Pod is 1Gi, but limit is 2147483648"), "{refused}");
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: large, namespace: said}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}\n";
    let refused = client.apply(claim).1;
    assert!(refused.contains("maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi"), "{refused}");
    client.ok("delete limitrange bounds -n said");
    let refused = client.refused("create cronjob odd --image=busybox --schedule=61_*_*_*_* -n said");
    assert!(refused.contains("expected exactly 5 fields, found 1: [61_*_*_*_*]"), "{refused}");
    let probe = "apiVersion: v1\nkind: Pod\nmetadata: {name: odd, namespace: said}\nspec: {containers: [{name: a, image: nginx, livenessProbe: {periodSeconds: 5}, ports: [{name: http}]}]}\n";
    let refused = client.apply(probe).1;
    assert!(refused.contains("spec.containers[0].livenessProbe: Required value: must specify a handler type"), "{refused}");
    assert!(refused.contains("spec.containers[0].ports[0].containerPort: Required value"), "{refused}");
    let twice = "apiVersion: v1\nkind: Pod\nmetadata: {name: odd, namespace: said}\nspec: {containers: [{name: a, image: nginx, ports: [{name: UPPER, containerPort: 80}]}], volumes: [{name: v}, {name: v}]}\n";
    let refused = client.apply(twice).1;
    assert!(refused.contains("spec.volumes[1].name: Duplicate value: \"v\""), "{refused}");
    assert!(
        refused.contains("spec.containers[0].ports[0].name: Invalid value: \"UPPER\": must contain only alpha-numeric"),
        "{refused}"
    );
    let refused = client
        .apply("apiVersion: v1\nkind: Secret\nmetadata: {name: odd, namespace: said}\ntype: kubernetes.io/tls\ndata: {a: Yg==}\n")
        .1;
    assert!(refused.contains("data[tls.crt]: Required value") && refused.contains("data[tls.key]: Required value"), "{refused}");
    let refused = client.run(&["get", "pods", "-n", "said", "-l", "a in (b"], "").1;
    assert!(refused.contains("unable to parse requirement: found '', expected: ',' or ')'"), "{refused}");
}

/// What budgets say of pods nobody scales, and what an eviction leaves on the pod and in the budget.
fn budgets_speak(client: &Client) {
    let said = |name: &str| client.ok(&format!("get events -n said --field-selector involvedObject.name={name}"));
    let unmanaged = "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{app: alone,},MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged.";
    client.until("a share of nothing is told", |_| said("share").contains(unmanaged));
    client.ok("create job scan --image=busybox:1.36 -n said -- sleep 600");
    client.ok("create poddisruptionbudget scans --selector=batch.kubernetes.io/job-name=scan --max-unavailable=1 -n said");
    let why = "jobs.batch does not implement the scale subresource";
    client.until("a job has no scale", |_| {
        said("scans").contains(&format!("Failed to calculate the number of expected pods: {why}"))
    });
    let condition = client.json("get pdb scans -n said")["status"]["conditions"][0].clone();
    assert_eq!((&condition["reason"], &condition["message"]), (&"SyncFailed".into(), &why.into()), "{condition}");
    client.until("its pod runs", |client| client.ok("get pods -l job-name=scan -n said").contains("Running"));
    let pod = client.ok("get pods -l job-name=scan -n said -o jsonpath={.items[0].metadata.name}");
    let evict = |pod: &str, name: &str| {
        let body = format!(
            "{{\"apiVersion\": \"policy/v1\", \"kind\": \"Eviction\", \"metadata\": {{\"name\": {name:?}, \"namespace\": \"said\"}}}}"
        );
        client.run(&["create", "--raw", &format!("/api/v1/namespaces/said/pods/{pod}/eviction"), "-f", "-"], &body)
    };
    let held = evict(&pod, &pod).1;
    assert!(held.contains("Cannot evict pod as it would violate the pod's disruption budget."), "{held}");
    assert!(evict(&pod, "other").1.contains("name in URL does not match name in Eviction object"));
    client.ok("delete pdb scans some share -n said");
    client.ok("patch pod alone -n said --type=merge -p {\"metadata\":{\"finalizers\":[\"example.com/hold\"]}}");
    client.ok("create poddisruptionbudget loose --selector=app=alone --min-available=0 -n said");
    client.until("it may go", |client| client.ok("get pdb loose -n said -o jsonpath={.status.disruptionsAllowed}") == "1");
    assert!(evict("alone", "alone").0);
    let gone = client.json("get pod alone -n said");
    let marked = gone["status"]["conditions"].as_array().unwrap().iter().find(|row| row["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&marked["reason"], &marked["message"]), (&"EvictionByEvictionAPI".into(), &"Eviction API: evicting".into()));
    client.ok("patch pod alone -n said --type=merge -p {\"metadata\":{\"finalizers\":null}}");
}

/// What autoscalers say of metrics there are none of, of two that want the same pods, and of a size they reach.
fn autoscalers_speak(client: &Client) {
    let said = |name: &str| client.ok(&format!("get events -n said --field-selector involvedObject.name={name}"));
    let status = |name: &str| client.json(&format!("get hpa {name} -n said"))["status"].clone();
    let condition = |name: &str, of: &str| {
        let status = status(name);
        let found = status["conditions"].as_array().into_iter().flatten().find(|row| row["type"] == of).cloned();
        found.map(|row| ["status", "reason", "message"].map(|field| row[field].as_str().unwrap().to_owned()).join(" "))
    };
    let deployment = |name: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: said}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: web, image: \"nginx:1.27\", resources: {{requests: {{memory: 1Mi}}}}}}]}}\n---\n"
        )
    };
    let hpa = |name: &str, target: &str, metric: &str, rest: &str| {
        let manifest = format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: {name}, namespace: said}}\nspec:\n  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {target}}}\n  maxReplicas: 9\n  metrics: [{metric}]\n{rest}"
        );
        assert!(client.apply(&manifest).0);
    };
    let memory = "{type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 50}}}";
    assert!(client.apply(&["grows", "twice", "odd"].map(deployment).concat()).0);
    hpa("grows", "grows", memory, "  behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 600}]}}\n");
    let behavior = client.json("get hpa grows -n said")["spec"]["behavior"].clone();
    assert_eq!(behavior["scaleUp"]["selectPolicy"], "Max");
    assert_eq!(behavior["scaleDown"]["policies"][0]["value"], 100, "{behavior}");
    hpa("first", "twice", memory, "");
    hpa("second", "twice", memory, "");
    let queue = "{type: External, external: {metric: {name: queue, selector: {matchLabels: {of: mail}}}, target: {type: AverageValue, averageValue: 30}}}";
    hpa("odd", "odd", queue, "");
    client.until("a size is reached by its policy", |_| {
        said("grows").contains("New size: 2; reason: memory resource utilization (percentage of request) above target")
    });
    client.until("and held there", |_| {
        condition("grows", "ScalingLimited").is_some_and(|row| row.starts_with("True ScaleUpLimit"))
    });
    let active = condition("grows", "ScalingActive").unwrap();
    let from =
        "the HPA was able to successfully calculate a replica count from memory resource utilization (percentage of request)";
    assert_eq!(active, format!("True ValidMetricFound {from}"));
    assert!(status("grows")["currentMetrics"][0]["resource"]["current"]["averageUtilization"].as_i64().unwrap() > 50);
    let both = "pods by selector app=twice are controlled by multiple HPAs: [said/first said/second]";
    for name in ["first", "second"] {
        client.until("neither may scale", |_| said(name).contains(both) && said(name).contains("AmbiguousSelector"));
        assert_eq!(condition(name, "ScalingActive").unwrap(), format!("False AmbiguousSelector {both}"));
    }
    let missing = "unable to get external metric said/queue/&LabelSelector{MatchLabels:map[string]string{of: mail,},MatchExpressions:[]LabelSelectorRequirement{},}: unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)";
    client.until("no adapter", |_| {
        condition("odd", "ScalingActive").is_some_and(|row| {
            row == format!("False FailedGetExternalMetric the HPA was unable to compute the replica count: {missing}")
        })
    });
    let seen = status("odd");
    assert_eq!(
        (&seen["currentMetrics"][0]["type"], &seen["desiredReplicas"]),
        (&"".into(), &0.into()),
        "as in the capture: {seen}"
    );
    assert!(
        seen["currentReplicas"] == 1 && seen.get("observedGeneration").is_none() && seen.get("lastScaleTime").is_none(),
        "{seen}"
    );
    assert!(client.ok("describe hpa odd -n said").contains("ScalingActive  False   FailedGetExternalMetric"));
}

/// Certificates: asked for, approved or denied, issued.
fn certificates(client: &Client) {
    let asked = std::fs::read(format!("{FIXTURES}/request.pem")).unwrap();
    let request = |name: &str, asked: &[u8], usage: &str| {
        let spec = format!(
            "{{request: {}, signerName: kubernetes.io/kube-apiserver-client, expirationSeconds: 86400, usages: [{usage}]}}",
            k3am::practice::base64::encode(asked)
        );
        let manifest = format!(
            "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        );
        assert!(client.apply(&manifest).0);
    };
    request("vera", &asked, "client auth");
    request("mallory", &asked, "client auth");
    request("wrong", &asked, "server auth");
    let row = |name: &str| client.ok(&format!("get csr {name} --no-headers"));
    assert!(row("vera").trim_end().ends_with("Pending"), "{}", row("vera"));
    assert!(client.ok("certificate approve vera wrong").contains("certificatesigningrequest.certificates.k8s.io/vera approved"));
    client.ok("certificate deny mallory");
    client.until("it is issued", |_| row("vera").trim_end().ends_with("Approved,Issued"));
    client.until("a wrong usage is not", |_| row("wrong").trim_end().ends_with("Approved,Failed"));
    assert!(row("mallory").trim_end().ends_with("Denied"), "{}", row("mallory"));
    let issued = client.ok("get csr vera -o jsonpath={.status.certificate}");
    let issued = String::from_utf8(k3am::practice::base64::decode(&issued).unwrap()).unwrap();
    assert!(issued.starts_with("-----BEGIN CERTIFICATE-----\n"), "{issued}");
    assert!(client.ok("describe csr vera").contains("Approved,Issued"));
}

/// `kubectl proxy` in between, and bytes that are no text through `cat`.
fn in_between(client: &Client) {
    let mut proxy = client.command(&["proxy", "--port=0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = [0; 256];
    let length = proxy.stdout.as_mut().unwrap().read(&mut said).unwrap();
    let first = String::from_utf8_lossy(&said[..length]).into_owned();
    let address = first.trim().rsplit(' ').next().unwrap().to_owned();
    let ask = |path: &str| {
        let mut connection = TcpStream::connect(&address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = connection.read_to_string(&mut answer);
        answer
    };
    let listed = ask("/api/v1/namespaces");
    assert!(
        listed.starts_with("HTTP/1.1 200") && listed.contains("\"NamespaceList\"") && listed.contains("kube-system"),
        "{listed}"
    );
    assert!(ask("/version").contains("v1.36.2"));
    assert!(ask("/api/v1/namespaces/none").starts_with("HTTP/1.1 404"));
    let watched = ask("/api/v1/namespaces?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=default");
    assert!(watched.contains("\"ADDED\"") && watched.contains("\"default\""), "{watched}");
    proxy.kill().unwrap();
    proxy.wait().unwrap();

    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bytes, namespace: default}\nbinaryData: {blob: AP/+gAoNQQ==}\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: bytes, namespace: default}\nspec:\n  containers: [{name: a, image: nginx:1.27, volumeMounts: [{name: v, mountPath: /v}]}]\n  volumes: [{name: v, configMap: {name: bytes}}]\n";
    assert!(client.apply(map).0 && client.apply(pod).0);
    client.ok("wait --for=condition=Ready pod/bytes -n default --timeout=60s");
    let read = client.command(&["exec", "bytes", "-n", "default", "--", "cat", "/v/blob"]).output().unwrap();
    assert_eq!(read.stdout, [0x00, 0xff, 0xfe, 0x80, 0x0a, 0x0d, 0x41]);
}

/// Kinds the server makes objects of by itself, and tables of another server's.
fn own_objects(client: &Client) {
    let rows = |what: &str| -> Vec<Vec<String>> {
        let printed = client.ok(what);
        printed.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let schemas = rows("get flowschemas");
    assert_eq!(schemas[0], ["NAME", "PRIORITYLEVEL", "MATCHINGPRECEDENCE", "DISTINGUISHERMETHOD", "AGE", "MISSINGPL"]);
    let of = |rows: &[Vec<String>], name: &str| rows.iter().find(|row| row[0] == name).unwrap().clone();
    assert_eq!(of(&schemas, "probes")[1..4], ["exempt", "2", "<none>"]);
    assert_eq!(of(&schemas, "probes")[5], "False");
    let levels = rows("get prioritylevelconfigurations");
    assert_eq!(of(&levels, "node-high")[1..6], ["Limited", "40", "64", "6", "50"]);
    assert_eq!(of(&levels, "catch-all")[1..6], ["Limited", "5", "<none>", "<none>", "<none>"]);
    let lonely = "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nmetadata: {name: lonely}\nspec: {priorityLevelConfiguration: {name: gone}}\n";
    assert!(client.apply(lonely).0);
    client.until("a schema without its level is marked", |_| of(&rows("get flowschemas"), "lonely")[5] == "True");

    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: numbered, namespace: default}\nspec: {clusterIP: 10.96.7.7, ports: [{port: 80}]}\n";
    assert!(client.apply(service).0);
    client.until("its address is an object", |client| client.run(&["get", "ipaddress", "10.96.7.7"], "").0);
    assert_eq!(of(&rows("get ipaddresses"), "10.96.7.7")[1], "services/default/numbered");
    client.ok("delete service numbered -n default");
    client.until("and goes with it", |client| !client.run(&["get", "ipaddress", "10.96.7.7"], "").0);
    assert_eq!(of(&rows("get servicecidrs"), "kubernetes")[1], "10.96.0.0/16");
    let range = "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: more}\nspec: {cidrs: [10.97.0.0/16]}\n";
    assert!(client.apply(range).0 && client.apply(range).1.contains("unchanged"));
    // Older ones describe a version (v1beta1) that servers of 1.36 no longer serve.
    if client.ok("version --client").contains("v1.37") {
        assert!(client.ok("describe servicecidr more").contains("10.97.0.0/16"));
        assert!(client.ok("describe ipaddress 10.96.0.1").contains("Name:       kubernetes"));
    }
    let slice = client.json("get endpointslice kubernetes -n default");
    assert_eq!(slice["ports"][0]["port"], 6443);
    assert!(
        client.ok("describe service kubernetes -n default").contains(slice["endpoints"][0]["addresses"][0].as_str().unwrap())
    );

    client.until("use is measured", |_| rows("get pods.metrics.k8s.io -n default").len() > 2);
    let measured = rows("get pods.metrics.k8s.io -n default");
    assert_eq!(measured[0], ["NAME", "CPU", "MEMORY", "WINDOW"]);
    assert!(measured[1][1].ends_with('n') && measured[1][2].ends_with("Ki"), "{measured:?}");
    assert_eq!(rows("get nodes.metrics.k8s.io node1")[1][0], "node1");
    assert!(client.refused("get nodes.metrics.k8s.io nobody").contains("NotFound"));
}

/// What the server says about itself, and what it refuses to promise.
fn server_itself(client: &Client) {
    let raw = client.ok("get --raw /readyz?verbose&exclude=etcd");
    assert!(raw.contains("[+]etcd excluded: ok\n[+]etcd-readiness ok\n") && raw.ends_with("readyz check passed\n"), "{raw}");
    assert_eq!(client.ok("get --raw /livez"), "ok");
    assert_eq!(client.ok("get --raw /livez/ping"), "ok");
    assert!(client.refused("get --raw /livez/shutdown").contains("NotFound"), "a check of /readyz alone");
    let metrics = client.ok("get --raw /metrics");
    assert!(metrics.contains("apiserver_storage_objects{resource=\"nodes\"} 3\n"), "{metrics}");
    assert!(client.ok("get --raw /").contains("\"/apis/apps/v1\""));
    let short = client.refused("create token default --duration=1m");
    let why = "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes";
    assert!(short.contains(&format!("TokenRequest.authentication.k8s.io \"\" is invalid: {why}")), "{short}");
}

/// A drain that a budget holds says so, and tries again by itself: the answer names no time to wait.
fn budget_holds_a_drain(client: &Client) {
    let node = client.ok("get pods -l app=shop -o jsonpath={.items[0].spec.nodeName}");
    let held = client.refused(&format!("drain {node} --pod-selector=app=shop --timeout=1s"));
    let why = "(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.";
    assert!(held.contains(why), "{held}");
    client.ok(&format!("uncordon {node}"));
    client.ok("delete poddisruptionbudget shop");
    let gone = client.ok(&format!("drain {node} --pod-selector=app=shop --timeout=60s"));
    assert!(gone.contains(" evicted"), "{gone}");
    client.ok(&format!("uncordon {node}"));
}

/// `kubectl debug` in its three forms, and a job made from a cron job: pod templates sent back as they were read.
fn debugging(client: &Client) {
    client.ok("create deployment ill --image=nginx:1.27");
    client.ok("rollout status deployment/ill --timeout=60s");
    let name = client.ok("get pods -l app=ill -o jsonpath={.items[0].metadata.name}");
    client.ok(&format!("debug {name} --image=busybox:1.36 --container=look --target=nginx -- sleep 1000"));
    client.until("the ephemeral container runs", |client| {
        let pod = client.json(&format!("get pod {name}"));
        pod["status"]["ephemeralContainerStatuses"][0]["state"]["running"].is_object()
    });
    let pod = client.json(&format!("get pod {name}"));
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["targetContainerName"], "nginx");
    assert!(client.ok(&format!("exec {name} -c look -- hostname")).contains(&name));
    assert!(client.ok(&format!("describe pod {name}")).contains("Ephemeral Containers:"));
    client.ok(&format!("logs {name} -c look"));
    client.ok(&format!("debug {name} --image=busybox:1.36 --copy-to=copy --share-processes -- sleep 1000"));
    let copy = client.json("get pod copy");
    assert_eq!((&copy["spec"]["shareProcessNamespace"], &copy["spec"]["containers"][0]["name"]), (&true.into(), &"nginx".into()));
    let original = &client.json(&format!("get pod {name}"))["spec"]["containers"][0];
    for field in ["image", "resources", "terminationMessagePath", "imagePullPolicy"] {
        assert_eq!(copy["spec"]["containers"][0][field], original[field], "{field}");
    }
    client.ok("debug node/node1 --image=busybox:1.36 -- sleep 1");
    let at_node = client.json("get pods --field-selector spec.nodeName=node1");
    let debugger = at_node["items"].as_array().unwrap().iter().find(|pod| pod["spec"]["hostPID"] == true).unwrap();
    assert_eq!(debugger["spec"]["volumes"][0]["hostPath"]["path"], "/");
    client.ok("create cronjob nightly --image=busybox:1.36 --schedule=@daily -- sleep 1");
    client.ok("create job tonight --from=cronjob/nightly");
    client.ok("wait --for=condition=complete job/tonight --timeout=60s");
    assert_eq!(client.json("get job tonight")["spec"]["template"]["spec"]["containers"][0]["command"][1], "1");
}

/// Nobody gives away what they do not hold, or acts as somebody they may not act as.
fn giving_rights_away(client: &Client) {
    client.ok("create namespace team");
    client.ok("create rolebinding lead -n team --clusterrole=admin --user=vera");
    for (line, what) in [
        (
            "create role more --verb=get,list --resource=nodes",
            "{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}",
        ),
        (
            "create rolebinding more --clusterrole=cluster-admin --user=vera",
            "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}",
        ),
    ] {
        let refused = client.refused(&format!("{line} -n team --as=vera"));
        assert!(
            refused.contains("user \"vera\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions"),
            "{refused}"
        );
        assert!(refused.contains(what), "{refused}");
    }
    client.ok("create rolebinding lookers -n team --clusterrole=view --user=bob --as=vera");
    client.ok("create role pods -n team --verb=get --resource=pods --as=vera");
    assert!(client.refused("patch role pods -n team --as=vera --type=json -p=[{\"op\":\"add\",\"path\":\"/rules/0/resources/-\",\"value\":\"bindings/x\"}]").contains("attempting to grant"));
    assert!(
        client.refused("create rolebinding no -n team --clusterrole=nope --user=bob --as=vera").contains("\"nope\" not found")
    );
    client.ok("create clusterrole binder --verb=bind --resource=clusterroles --resource-name=cluster-admin");
    client.ok("create rolebinding binder -n team --clusterrole=binder --user=vera");
    client.ok("create rolebinding more -n team --clusterrole=cluster-admin --user=vera --as=vera");

    client.ok("create role actor -n team --verb=impersonate --resource=serviceaccounts");
    client.ok("create rolebinding actor -n team --role=actor --serviceaccount=team:robot");
    client.ok("create serviceaccount robot -n team");
    let token = client.ok("create token robot -n team");
    let server = client.cluster.kubeconfig();
    let server = server.lines().find_map(|line| line.trim().strip_prefix("server: ")).unwrap().trim_matches('"').to_owned();
    let as_robot = |line: &str| {
        let line = format!("{line} --server={server}/as/{} --kubeconfig=/dev/null", token.trim());
        client.run(&line.split_whitespace().collect::<Vec<_>>(), "").1
    };
    let whoami = as_robot("auth whoami --as=system:serviceaccount:team:default");
    assert!(whoami.contains("system:serviceaccount:team:default") && whoami.contains("system:serviceaccounts:team"), "{whoami}");
    // A raw path replaces the one of the server's URL, and the token with it.
    let raw = format!("/as/{}/api/v1/namespaces/team/pods", token.trim());
    let refused = as_robot(&format!("get --raw {raw} --as=bob"));
    assert!(refused.contains("cannot impersonate resource \"users\" in API group \"\" at the cluster scope"), "{refused}");
    let refused = as_robot(&format!("get --raw {raw} --as=system:serviceaccount:default:default"));
    assert!(
        refused.contains("cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"default\""),
        "{refused}"
    );
    let refused = as_robot(&format!("get --raw {raw} --as=system:serviceaccount:team:default --as-uid=7"));
    assert!(refused.contains("uids.authentication.k8s.io \"7\" is forbidden"), "{refused}");
}

/// What other people's servers do to a cluster: webhooks that cannot be called, and an API group nobody answers for.
fn servers_that_do_not_answer(client: &Client) {
    let webhook = |policy: &str, target: &str| {
        format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{name: gate}}\nwebhooks:\n- \
             {{name: gate.example.com, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: {policy}, timeoutSeconds: 5,\n  \
             rules: [{{apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}}],\n  clientConfig: {target}}}\n"
        )
    };
    client.ok("create namespace gates");
    client.ok("create service clusterip empty -n gates --tcp=443:8443");
    client.ok("run deaf -n gates --image=nginx:1.27 --port=80 --labels=app=deaf");
    client.ok("create service clusterip deaf -n gates --tcp=443:8443");
    client.ok("run ears -n gates --image=nginx:1.27 --port=8443 --labels=app=ears");
    client.ok("create service clusterip ears -n gates --tcp=443:8443");
    client.ok("wait --for=condition=Ready pod/deaf pod/ears -n gates --timeout=60s");
    let service = |name: &str| format!("{{service: {{name: {name}, namespace: gates, path: /v}}}}");
    let post = |name: &str| format!("Post \"https://{name}.gates.svc:443/v?timeout=5s\": ");
    for (target, why) in [
        (service("gone"), post("gone") + "service \"gone\" not found"),
        (service("empty"), post("empty") + "no endpoints available for service \"empty\""),
        (service("deaf"), post("deaf") + "dial tcp 10.96."),
        (service("deaf"), ":443: connect: connection refused".to_owned()),
        (
            "{url: 'https://10.255.255.1/v'}".to_owned(),
            "Post \"https://10.255.255.1/v?timeout=5s\": context deadline exceeded".to_owned(),
        ),
        ("{url: 'https://gate.invalid/v'}".to_owned(), "lookup gate.invalid on 10.96.0.10:53: no such host".to_owned()),
    ] {
        assert!(client.apply(&webhook("Fail", &target)).0, "{target}");
        let refused = client.refused("create configmap x -n gates --dry-run=server");
        let head = "Internal error occurred: failed calling webhook \"gate.example.com\": failed to call webhook: ";
        assert!(refused.contains(head) && refused.contains(&why), "{target}: {refused}");
        assert!(client.apply(&webhook("Ignore", &target)).0);
        client.ok("create configmap x -n gates --dry-run=server");
    }
    assert!(client.apply(&webhook("Fail", &service("ears"))).0);
    client.ok("create configmap x -n gates");
    client.ok("delete validatingwebhookconfiguration gate");

    let dead = "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.dead.example.com}\nspec: {group: \
                dead.example.com, version: v1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, \
                service: {name: gone, namespace: gates}}\n";
    assert!(client.apply(dead).0);
    client
        .until("it is unavailable", |client| client.ok("get apiservice v1.dead.example.com").contains("False (ServiceNotFound)"));
    let raw = client.refused("get --raw /apis/dead.example.com/v1");
    assert!(raw.contains("the server is currently unable to handle the request"), "{raw}");
    assert!(client.ok("get --raw /apis/dead.example.com").contains("preferredVersion"), "the aggregator answers for the group");
    assert!(client.ok("get pods -n gates").contains("ears"), "the rest of the server is not affected");
    client.ok("delete apiservice v1.dead.example.com");
}

/// Files applied by several people: conflicts, pruning, an editor, differences, dry runs, generated names.
fn files(client: &Client) {
    let folder = client.home.path().join("files");
    std::fs::create_dir(&folder).unwrap();
    let map = |name: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default, labels: {{set: pruned}}}}\ndata: {{a: {value}}}\n"
        )
    };
    let (one, two) = (folder.join("one.yaml"), folder.join("two.yaml"));
    std::fs::write(&one, map("one", "first")).unwrap();
    std::fs::write(&two, map("two", "first")).unwrap();
    client.ok(&format!("apply --server-side -f {}", one.display()));
    std::fs::write(&one, map("one", "second")).unwrap();
    let conflict = client.refused(&format!("apply --server-side --field-manager=other -f {}", one.display()));
    assert!(conflict.contains("Apply failed with 1 conflict: conflict with \"kubectl\": .data.a"), "{conflict}");
    client.ok(&format!("apply --server-side --field-manager=other --force-conflicts -f {}", one.display()));
    client.ok("delete configmap one");
    let folder = folder.display();
    client.ok(&format!("apply -f {folder}"));
    std::fs::write(&one, map("one", "moved")).unwrap();
    // Fields of `kubectl apply` move to server-side apply without a conflict.
    client.ok(&format!("apply --server-side -f {}", one.display()));
    client.ok("delete configmap one");
    std::fs::write(&one, map("one", "second")).unwrap();
    client.ok(&format!("apply -f {}", one.display()));
    std::fs::remove_file(&two).unwrap();
    let pruned = client.ok(&format!("apply -f {folder} --prune -l set=pruned --prune-allowlist=core/v1/ConfigMap"));
    assert!(pruned.contains("one unchanged") && pruned.contains("two pruned"), "{pruned}");
    std::fs::write(&one, map("one", "third")).unwrap();
    let differs = client.refused(&format!("diff -f {folder}"));
    assert!(differs.contains("-  a: second") && differs.contains("+  a: third"), "{differs}");
    assert!(client.ok(&format!("apply -f {folder} --dry-run=server")).contains("configured (server dry run)"));
    assert_eq!(client.json("get configmap one")["data"]["a"], "second");
    let edit = ["edit", "configmap", "one"];
    let editor = client.home.path().join("editor");
    std::fs::write(&editor, "#!/bin/sh\nsed -i 's/a: second/a: edited/' \"$1\"\n").unwrap();
    let mut command = Command::new("chmod");
    assert!(command.arg("+x").arg(&editor).status().unwrap().success());
    let mut command = Command::new(&client.program);
    command.args(edit).env("KUBECONFIG", &client.kubeconfig).env("HOME", client.home.path()).env("KUBE_EDITOR", &editor);
    assert!(String::from_utf8_lossy(&command.output().unwrap().stdout).contains("edited"));
    assert_eq!(client.json("get configmap one")["data"]["a"], "edited");
    let generated = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-, namespace: default}\n";
    for _ in 0..2 {
        assert!(client.run(&["create", "-f", "-"], generated).1.starts_with("configmap/made-"));
    }
    assert!(client.refused("wait --for=create configmap/never --timeout=1s").contains("timed out"));
}

/// Both kubectls, one after the other, each with a cluster of its own.
fn with_both(act: impl Fn(&Client)) {
    for (what, program) in [("kubectl 1.37", official("kubectl")), ("a kubectl in PATH", distribution())] {
        if let Some(client) = Client::open(what, program) {
            act(&client);
        }
    }
}

#[test]
fn kubectl_debugs_pods_and_nodes() {
    with_both(debugging);
}

#[test]
fn kubectl_is_kept_to_the_rights_of_its_user() {
    with_both(giving_rights_away);
}

#[test]
fn kubectl_says_which_server_did_not_answer() {
    with_both(servers_that_do_not_answer);
}

#[test]
fn kubectl_applies_files_with_others() {
    with_both(files);
}

#[test]
fn the_official_kubectl_agrees_over_every_resource() {
    let Some(client) = Client::open("kubectl 1.37", official("kubectl")) else { return };
    every_resource(&client);
}

#[test]
fn the_official_kubectl_creates_streams_and_does_its_duty() {
    let Some(mut client) = Client::open("kubectl 1.37", official("kubectl")) else { return };
    every_create(&client);
    streams(&client);
    rights_and_duty(&mut client);
}

#[test]
fn the_distributions_kubectl_agrees_over_every_resource() {
    let Some(client) = Client::open("a kubectl in PATH", distribution()) else { return };
    every_resource(&client);
}

#[test]
fn the_distributions_kubectl_creates_streams_and_does_its_duty() {
    let Some(mut client) = Client::open("a kubectl in PATH", distribution()) else { return };
    every_create(&client);
    streams(&client);
    rights_and_duty(&mut client);
}

#[test]
fn helm_installs_upgrades_rolls_back_and_lists() {
    let Some(client) = Client::open("helm", official("helm")) else { return };
    let chart = Path::new(FIXTURES).join("chart");
    let chart = chart.display();
    assert!(client.ok(&format!("install shop {chart} --wait --timeout 120s")).contains("STATUS: deployed"));
    assert!(
        client.ok(&format!("upgrade shop {chart} --set replicas=2,colour=blue --wait --timeout 120s")).contains("REVISION: 2")
    );
    let listed: Value = serde_json::from_str(&client.ok("list -o json")).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["revision"]), (&Value::from("shop"), &Value::from("2")));
    assert!(client.ok("rollback shop 1 --wait --timeout 120s").contains("Rollback was a success"));
    let history: Value = serde_json::from_str(&client.ok("history shop -o json")).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 3);
    let map = client.cluster.store().get(&k3am::practice::resources::CONFIG_MAPS, "default", "shop").unwrap();
    assert_eq!(map["data"]["colour"], "red", "rolled back");
    assert!(client.ok("uninstall shop --wait --timeout 120s").contains("uninstalled"));
}
