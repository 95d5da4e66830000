//! The pages, asked.
