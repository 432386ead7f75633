//! Becoming the owner of a state store, remaining its owner, and waiting for another owner to end.
//!
//! Where it is clear at once whether an owner is alive (SQLite's lock), the process that gets the lock is the owner.
//! Where it is not, an owner increases its counter every [`RENEWAL`], and a process that has seen the counter unchanged
//! for [`PATIENCE`] on its own monotonic clock takes over; an owner commits nothing once `store::TENURE` has passed
//! since its last renewal. The three times leave two seconds between the last commit of the old owner and the first of
//! the new one. [`Watch`] is the decision, pure.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::store::{Observed, Role, StateStore, StoreError, Tenure};
use crate::telemetry::chain;

/// How often an owner on a server renews its tenure.
pub const RENEWAL: Duration = Duration::from_secs(4);

/// How long the counter must stay unchanged before another process takes over.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// How often a waiting process looks.
const LOOK: Duration = Duration::from_secs(1);

/// How many times in a row the lock is requested: another process that only looks at it briefly is not an owner. A
/// command that finds an owner hands its run over, and must not wait long; a daemon would end.
const LOCK_TRIES: u32 = 5;
const LOCK_TRIES_OF_DAEMON: u32 = 40;
const LOCK_WAIT: Duration = Duration::from_millis(60);

/// Watches an owner from another process.
#[derive(Debug, Default)]
pub struct Watch {
    last: Option<(Observed, Instant)>,
}

/// What a look at the owner means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nobody owns the store, or the owner was silent for too long: it may be taken.
    Free,
    /// The owner is alive.
    Alive,
    /// It is not clear yet.
    Unknown,
}

impl Watch {
    /// Returns what `observed`, seen at `now`, means given everything seen before.
    pub fn look(&mut self, observed: &Observed, now: Instant) -> Seen {
        match observed.is_locked {
            Some(true) => return Seen::Alive,
            Some(false) => return Seen::Free,
            None => {}
        }
        if observed.owner.is_none() {
            return Seen::Free;
        }
        match &self.last {
            Some((last, since)) if (last.epoch, last.counter) == (observed.epoch, observed.counter) => {
                if now.duration_since(*since) >= PATIENCE { Seen::Free } else { Seen::Unknown }
            }
            Some(_) => {
                self.last = Some((observed.clone(), now));
                Seen::Alive
            }
            None => {
                self.last = Some((observed.clone(), now));
                Seen::Unknown
            }
        }
    }
}

/// Becomes the owner if there is none; watches an owner on a server until it is clear whether it is alive.
///
/// # Errors
/// When the state store fails.
pub async fn acquire(store: &dyn StateStore, owner: &str, role: Role) -> Result<Option<Tenure>, StoreError> {
    let most = match role {
        Role::Daemon => LOCK_TRIES_OF_DAEMON,
        Role::Command => LOCK_TRIES,
    };
    let mut watch = Watch::default();
    let mut tries = 0;
    loop {
        let observed = store.observe_owner().await?;
        match watch.look(&observed, Instant::now()) {
            Seen::Free => {
                if let Some(tenure) = store.take_ownership(owner, role, &observed).await? {
                    return Ok(Some(tenure));
                }
            }
            Seen::Alive if observed.is_locked.is_none() => return Ok(None),
            Seen::Alive | Seen::Unknown => {}
        }
        if observed.is_locked.is_some() {
            tries += 1;
            if tries == most {
                return Ok(None);
            }
            tokio::time::sleep(LOCK_WAIT).await;
        } else {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Waits until this process is the owner, or is told to stop; calls `has_looked` after each look in vain.
///
/// # Errors
/// When the state store fails permanently.
pub async fn stand_by(
    store: &dyn StateStore,
    (owner, role): (&str, Role),
    stop: &CancellationToken,
    has_looked: &(dyn Fn() + Sync),
) -> Result<Option<Tenure>, StoreError> {
    let mut watch = Watch::default();
    while !stop.is_cancelled() {
        match look_and_take(store, owner, role, &mut watch).await {
            Ok(Some(tenure)) => {
                info!("Took over as the owner of the state store");
                return Ok(Some(tenure));
            }
            Ok(None) => {}
            Err(error) if error.is_transient() => warn!("Standing by: {}", chain(&error)),
            Err(error) => return Err(error),
        }
        has_looked();
        if stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            break;
        }
    }
    Ok(None)
}

async fn look_and_take(
    store: &dyn StateStore,
    owner: &str,
    role: Role,
    watch: &mut Watch,
) -> Result<Option<Tenure>, StoreError> {
    let observed = store.observe_owner().await?;
    if watch.look(&observed, Instant::now()) == Seen::Free {
        return store.take_ownership(owner, role, &observed).await;
    }
    Ok(None)
}

/// Returns whether the store has an owner now. On a server this watches until it is clear.
///
/// # Errors
/// When the state store fails.
pub async fn is_owned(store: &dyn StateStore) -> Result<Option<Role>, StoreError> {
    let mut watch = Watch::default();
    let mut tries = 0;
    loop {
        let observed = store.observe_owner().await?;
        match (watch.look(&observed, Instant::now()), observed.owner) {
            (Seen::Free, _) => return Ok(None),
            (Seen::Alive, Some((_, role))) => return Ok(Some(role)),
            // It has the lock, and has not stated its role yet.
            (Seen::Alive, None) if tries < LOCK_TRIES => {
                tries += 1;
                tokio::time::sleep(LOCK_WAIT).await;
            }
            (Seen::Alive, None) => return Ok(Some(Role::Command)),
            (Seen::Unknown, _) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Renews the tenure until told to stop; ends earlier only when it is lost for good.
pub async fn keep(store: &dyn StateStore, tenure: &Tenure, stop: &CancellationToken) {
    let mut tick = tokio::time::interval(RENEWAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        // An answer that comes later than the next renewal does not count.
        match tokio::time::timeout(RENEWAL, store.renew_ownership(tenure)).await {
            Ok(Ok(())) => {}
            Ok(Err(StoreError::NotOwner { is_final: true, .. })) => {
                warn!("Another scheduler has taken over the state store");
                return;
            }
            Ok(Err(error @ StoreError::FileGone { .. })) => {
                error!("{}", chain(&error));
                return;
            }
            Ok(Err(error)) => warn!("Renewing the ownership of the state store: {}", chain(&error)),
            Err(_) => warn!("The state store did not answer in time when its ownership was to be renewed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(epoch: i64, counter: i64) -> Observed {
        let owner = Some(("a".to_owned(), Role::Daemon));
        Observed { epoch, counter, owner, is_locked: None }
    }

    #[test]
    fn an_owner_whose_counter_stands_still_for_twelve_seconds_is_taken_for_dead() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);

        let seen = [
            watch.look(&observed(1, 5), start),
            watch.look(&observed(1, 5), after(11)),
            watch.look(&observed(1, 6), after(12)),
            watch.look(&observed(1, 6), after(23)),
            watch.look(&observed(1, 6), after(24)),
        ];

        assert_eq!(seen, [Seen::Unknown, Seen::Unknown, Seen::Alive, Seen::Unknown, Seen::Free]);
    }

    #[test]
    fn another_owner_is_watched_anew() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        watch.look(&observed(1, 5), start);

        let seen = watch.look(&observed(2, 5), start + Duration::from_secs(30));

        assert_eq!(seen, Seen::Alive);
    }

    #[test]
    fn a_lock_tells_at_once() {
        let mut watch = Watch::default();
        let with_lock = |is_locked| Observed { is_locked: Some(is_locked), ..observed(1, 5) };

        assert_eq!(watch.look(&with_lock(true), Instant::now()), Seen::Alive);
        assert_eq!(watch.look(&with_lock(false), Instant::now()), Seen::Free);
    }
}
