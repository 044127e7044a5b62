//! Pod addresses: each node hands out those of its own range (host-local), until there is none left.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// The addresses of every node.
#[derive(Debug, Default)]
pub struct Addresses {
    nodes: HashMap<String, Range>,
}

#[derive(Debug)]
struct Range {
    first: u32,
    last: u32,
    next: u32,
    taken: BTreeMap<u32, String>,
}

/// A node's range is used up; carries the range as host-local prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted(pub String);

impl Addresses {
    /// Makes a node's range known (`10.88.3.0/28`); the first address is the gateway.
    pub fn learn(&mut self, node: &str, cidr: &str) {
        let Some((base, bits)) =
            cidr.split_once('/').and_then(|(base, bits)| Some((base.parse::<Ipv4Addr>().ok()?, bits.parse::<u32>().ok()?)))
        else {
            return;
        };
        let size = 1_u32.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(u32::MAX);
        let first = u32::from(base) + 1;
        let last = u32::from(base) + size.saturating_sub(2);
        self.nodes.entry(node.to_owned()).or_insert(Range { first, last, next: first + 1, taken: BTreeMap::new() });
    }

    /// The next free address of a node for a pod; the one it has already, if any.
    pub fn allocate(&mut self, node: &str, pod_uid: &str) -> Result<Ipv4Addr, Exhausted> {
        let Some(range) = self.nodes.get_mut(node) else { return Err(Exhausted("none".to_owned())) };
        if let Some((address, _)) = range.taken.iter().find(|(_, owner)| *owner == pod_uid) {
            return Ok(Ipv4Addr::from(*address));
        }
        let usable = range.last.saturating_sub(range.first);
        for _ in 0..usable {
            let candidate = range.next;
            range.next = if candidate >= range.last { range.first + 1 } else { candidate + 1 };
            if let Entry::Vacant(free) = range.taken.entry(candidate) {
                free.insert(pod_uid.to_owned());
                return Ok(Ipv4Addr::from(candidate));
            }
        }
        Err(Exhausted(format!("{}-{}", Ipv4Addr::from(range.first), Ipv4Addr::from(range.last))))
    }

    /// Gives a pod's address back.
    pub fn release(&mut self, node: &str, pod_uid: &str) {
        if let Some(range) = self.nodes.get_mut(node) {
            range.taken.retain(|_, owner| owner != pod_uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_range_runs_out_and_a_released_address_returns() {
        let mut addresses = Addresses::default();
        addresses.learn("node1", "10.88.4.0/29");
        let given: Vec<_> = (0..5).map(|pod| addresses.allocate("node1", &format!("pod{pod}")).unwrap()).collect();
        assert_eq!(given.first().unwrap().to_string(), "10.88.4.2");
        assert_eq!(addresses.allocate("node1", "late"), Err(Exhausted("10.88.4.1-10.88.4.6".into())));
        addresses.release("node1", "pod2");
        assert_eq!(addresses.allocate("node1", "late").unwrap().to_string(), "10.88.4.4");
    }
}
