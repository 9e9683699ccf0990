//! skeleton
pub mod request;
