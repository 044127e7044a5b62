//! The screen without a cluster: why, and the practice cluster on one key. Its keys are in [`super::global`].

use super::{Link, World};

/// What to say while there is no cluster: a headline and what to do.
pub fn words(world: &World) -> Option<(&'static str, String)> {
    match &world.link {
        Link::Connecting => Some(("Connecting", "waiting for the cluster's answer".to_owned())),
        Link::Down(why) => Some(("No connection", format!("{why}. Trying again."))),
        Link::NoKubeconfig => Some((
            "There is no kubeconfig",
            "looked at --kubeconfig, $KUBECONFIG and ~/.kube/config, and this is not a pod in a cluster".to_owned(),
        )),
        Link::Up(_) => None,
    }
}
