//! Whether datagrams get from one member to another, and how large ones: what is asked and answered for
//! who looks for a fault. None of this changes what anybody believes.

use crate::model::NodeKey;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A part of an examination. An answer is never larger than its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exam {
    /// Did this arrive?
    Question {
        /// Told apart from others of the same asker by this.
        number: u32,
        /// Who asks.
        from: NodeKey,
        /// Who is asked.
        to: NodeKey,
    },
    /// It did; padded to the size of the question.
    Answer {
        /// The number of the question.
        number: u32,
        /// Who answers.
        from: NodeKey,
        /// Where the question came from, as seen there.
        saw: SocketAddr,
        /// What the wall clock there shows, in milliseconds since 1970; 0: it is not known.
        unix_ms: u64,
    },
    /// Which of my questions have arrived at `about`? Asked of `about` itself, or of a third, who asks there.
    Inquiry {
        /// The examination that is meant: the numbers of its questions without the last bits.
        number: u32,
        /// Whose questions.
        asker: NodeKey,
        /// Who is asked.
        to: NodeKey,
        /// Where they should have arrived.
        about: NodeKey,
    },
    /// The answer to an [`Exam::Inquiry`], passed on by the third.
    Report {
        /// The examination.
        number: u32,
        /// Whose questions.
        asker: NodeKey,
        /// Where they should have arrived.
        about: NodeKey,
        /// One bit for each question that has, by the last bits of its number.
        arrived: u8,
    },
}

/// The last bits of a question's number, which tell those of one examination apart.
pub const QUESTION_BITS: u32 = 0b111;
