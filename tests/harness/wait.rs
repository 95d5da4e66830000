//! Waits for what another process does: asks again until the answer is yes, or a deadline.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long to pause between two questions.
pub const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer, blocking the thread.
///
/// # Errors
///
/// If there is none within `limit`.
pub fn until<T>(
    what: impl Display,
    limit: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        thread::sleep(PAUSE);
    }
}

/// Asks until there is an answer, without blocking the thread.
///
/// # Errors
///
/// If there is none within `limit`.
pub async fn until_async<T>(
    what: impl Display,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
