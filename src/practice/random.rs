//! A small seeded random source (`SplitMix64`), so that a practice cluster started with one seed plays the same night again.
//!
//! Not for secrets. Derive one source per thing (`Random::of`) so that one thing's draws do not shift another's.

use std::fmt::Write;
use std::time::Duration;

/// A deterministic stream of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A source for one named thing under a cluster seed.
    pub fn of(seed: u64, thing: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
        for byte in thing.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(hash)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in `low..high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    /// A whole number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.draw() % bound }
    }

    /// One of these; `None` only when there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len() as u64) as usize)
    }

    /// A duration between two numbers of seconds.
    pub fn seconds(&mut self, low: f64, high: f64) -> Duration {
        Duration::from_secs_f64(self.between(low, high).max(0.0))
    }

    /// `digits` lowercase hexadecimal digits (container, sandbox and image identifiers).
    pub fn hex(&mut self, digits: usize) -> String {
        let mut out = String::with_capacity(digits + 16);
        while out.len() < digits {
            let _ = write!(out, "{:016x}", self.draw());
        }
        out.truncate(digits);
        out
    }

    /// A suffix as the API server appends to `generateName`: no vowels, nothing that looks like another letter.
    pub fn suffix(&mut self, letters: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..letters).map(|_| self.pick(ALPHABET).map_or('x', |byte| char::from(*byte))).collect()
    }
}
