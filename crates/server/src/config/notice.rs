//! What is to be said about settings once there is a log to say it in.

/// One remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub weight: Weight,
    /// What it says.
    pub text: String,
}

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It tells what was understood.
    Info,
    /// Somebody may have meant something else.
    Warn,
}

impl Notice {
    pub(crate) fn info(text: String) -> Notice {
        Notice { weight: Weight::Info, text }
    }

    pub(crate) fn warn(text: String) -> Notice {
        Notice { weight: Weight::Warn, text }
    }

    /// Writes it to the log.
    pub fn log(&self) {
        match self.weight {
            Weight::Info => tracing::info!("{}", self.text),
            Weight::Warn => tracing::warn!("{}", self.text),
        }
    }
}
