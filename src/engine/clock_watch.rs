//! Whether the system clock can be believed: it is compared with the monotonic one.
//!
//! A scheduler that follows a clock which jumps ahead uses up slots of the future. So a jump ahead by more than
//! [`JUMP`] is believed only after it has lasted for [`HOLD`]: a clock that is corrected within that time has no
//! effect, and a machine that slept runs what it missed two minutes later. A clock that goes back is believed at once:
//! slots are unique, so nothing runs twice. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The largest jump ahead that is believed at once.
pub const JUMP: Duration = Duration::from_secs(120);

/// How long a larger jump must last.
pub const HOLD: Duration = Duration::from_secs(120);

/// Compares the system clock with the monotonic one.
#[derive(Debug, Default)]
pub struct ClockWatch {
    believed: Option<(Timestamp, Instant)>,
    doubted: Option<(Timestamp, Instant)>,
}

impl ClockWatch {
    /// Returns whether `wall`, read at `instant`, can be believed.
    pub fn believes(&mut self, wall: Timestamp, instant: Instant) -> bool {
        let Some(believed) = self.believed else {
            self.believed = Some((wall, instant));
            return true;
        };
        if ahead(believed, wall, instant) <= signed(JUMP) {
            self.believed = Some((wall, instant));
            self.doubted = None;
            return true;
        }
        match self.doubted {
            Some(doubted) if ahead(doubted, wall, instant).abs() <= signed(JUMP) => {
                let has_stood = instant.duration_since(doubted.1) >= HOLD;
                if has_stood {
                    (self.believed, self.doubted) = (Some((wall, instant)), None);
                }
                has_stood
            }
            _ => {
                self.doubted = Some((wall, instant));
                false
            }
        }
    }
}

/// How far the system clock has moved ahead of the monotonic one since both were read.
fn ahead((wall_then, instant_then): (Timestamp, Instant), wall: Timestamp, instant: Instant) -> SignedDuration {
    wall.duration_since(wall_then) - signed(instant.duration_since(instant_then))
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which readings are believed: seconds of the system clock and of the monotonic one since the start.
    fn believed(readings: &[(i64, u64)]) -> Vec<bool> {
        let (mut watch, start) = (ClockWatch::default(), Instant::now());
        let wall = |seconds| Timestamp::from_second(1_795_000_000 + seconds).unwrap();
        readings.iter().map(|(wall_at, at)| watch.believes(wall(*wall_at), start + Duration::from_secs(*at))).collect()
    }

    #[test]
    fn a_clock_that_goes_on_is_believed() {
        assert_eq!(believed(&[(0, 0), (60, 60), (3_660, 3_600)]), [true, true, true]);
    }

    #[test]
    fn a_jump_ahead_is_believed_once_it_has_stood_for_two_minutes() {
        assert_eq!(believed(&[(0, 0), (86_400, 1), (86_460, 61), (86_521, 122)]), [true, false, false, true]);
    }

    #[test]
    fn a_jump_ahead_that_is_taken_back_has_done_nothing() {
        assert_eq!(believed(&[(0, 0), (86_400, 1), (60, 60), (120, 120)]), [true, false, true, true]);
    }

    #[test]
    fn a_second_jump_begins_to_be_held_anew() {
        assert_eq!(
            believed(&[(0, 0), (86_400, 1), (186_500, 100), (186_600, 200), (186_620, 220)]),
            [true, false, false, false, true]
        );
    }

    #[test]
    fn a_clock_that_goes_back_is_believed_at_once() {
        assert_eq!(believed(&[(7_200, 0), (3_601, 1), (3_602, 2)]), [true, true, true]);
    }
}
