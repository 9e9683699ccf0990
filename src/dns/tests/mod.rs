//! Tables of questions with their answers, read back by the library that did not write them.

mod answers;
mod bounds;
pub(super) mod world;
