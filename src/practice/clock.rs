//! Simulated time: the practice cluster's one clock.
//!
//! Invariant: nothing under `practice` reads the system clock except here, so that a speed factor makes everything (back-offs,
//! grace periods, log timestamps) faster alike.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};

/// A clock that starts at the real time and runs `speed` times as fast.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Origin>);

#[derive(Debug)]
struct Origin {
    real: Instant,
    simulated: DateTime<Utc>,
    speed: f64,
}

impl Clock {
    /// A clock on which `speed` simulated seconds pass in a real one. A speed that is not a positive number counts as 1.
    pub fn new(speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self(Arc::new(Origin { real: Instant::now(), simulated: Utc::now(), speed }))
    }

    /// A clock that stands still at a moment: for writing history.
    pub fn stopped_at(moment: DateTime<Utc>) -> Self {
        Self(Arc::new(Origin { real: Instant::now(), simulated: moment, speed: f64::MIN_POSITIVE }))
    }

    /// The simulated time.
    pub fn now(&self) -> DateTime<Utc> {
        let passed = self.0.real.elapsed().as_secs_f64() * self.0.speed;
        self.0.simulated + chrono::Duration::microseconds((passed * 1e6) as i64)
    }

    /// How many simulated seconds pass in a real one.
    pub fn speed(&self) -> f64 {
        self.0.speed
    }

    /// How long `simulated` takes on a real watch; never zero, so that loops cannot spin.
    pub fn real(&self, simulated: Duration) -> Duration {
        Duration::from_secs_f64((simulated.as_secs_f64() / self.0.speed).clamp(0.001, 1e8))
    }

    /// Waits until `simulated` time has passed on this clock.
    pub async fn sleep(&self, simulated: Duration) {
        tokio::time::sleep(self.real(simulated)).await;
    }
}

/// A time as object metadata writes it (`metav1.Time`): whole seconds, `Z`.
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time as events and leases write it (`metav1.MicroTime`): microseconds, `Z`.
pub fn micro_timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
