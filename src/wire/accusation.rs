//! Suspicions with the names of those who raised them.

use super::frame::Epoch;
use crate::model::{Incarnation, NodeKey};
use serde::{Deserialize, Serialize};

/// A suspicion with the name of who raised it (Dadgar et al. 2018, "LHA Suspicion").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accusation {
    /// Who is suspected.
    pub subject: NodeKey,
    /// Which life of it.
    pub epoch: Epoch,
    /// Which state counter of that life.
    pub incarnation: Incarnation,
    /// Whose own probe it did not answer.
    pub accuser: NodeKey,
    /// The accuser's kernel was told that nobody listens at the address.
    pub refused: bool,
}

/// All accusations of one suspicion that travel together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Who is suspected.
    pub subject: NodeKey,
    /// Which life of it.
    pub epoch: Epoch,
    /// Which state counter of that life.
    pub incarnation: Incarnation,
    /// Those whose own probes it did not answer, and whether the kernel of each was told that nobody
    /// listens there.
    pub accusers: Vec<(NodeKey, bool)>,
}

impl Charge {
    /// These accusations, those of one suspicion together, in the order of the first of each.
    pub fn group(accusations: &[Accusation]) -> Vec<Self> {
        let mut charges: Vec<Self> = Vec::new();
        for a in accusations {
            let accuser = (a.accuser, a.refused);
            let same =
                |c: &&mut Self| (c.subject, c.epoch, c.incarnation) == (a.subject, a.epoch, a.incarnation);
            match charges.iter_mut().find(same) {
                Some(charge) => charge.accusers.push(accuser),
                None => charges.push(Self {
                    subject: a.subject,
                    epoch: a.epoch,
                    incarnation: a.incarnation,
                    accusers: vec![accuser],
                }),
            }
        }
        charges
    }

    /// Each of them by itself.
    pub fn each(&self) -> impl Iterator<Item = Accusation> + '_ {
        let Self { subject, epoch, incarnation, .. } = *self;
        self.accusers.iter().map(move |&(accuser, refused)| Accusation {
            subject,
            epoch,
            incarnation,
            accuser,
            refused,
        })
    }
}
