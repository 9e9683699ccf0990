//! The numbers of the kinds of frames, with the words that they are counted under. A number stays what it is
//! for ever.

pub(super) const SWIM: u8 = 1;
pub(super) const MEMBERS: u8 = 2;
pub(super) const RECORDS: u8 = 3;
pub(super) const HEADS: u8 = 4;
pub(super) const ROOT: u8 = 5;
pub(super) const JOIN: u8 = 6;
pub(super) const JOIN_REPLY: u8 = 7;
pub(super) const DOWN_NOTICE: u8 = 8;
pub(super) const NAME_CLAIM: u8 = 9;
pub(super) const ASK: u8 = 10;
pub(super) const ANSWER: u8 = 11;
pub(super) const LEAVE: u8 = 12;
pub(super) const LEAVE_ACK: u8 = 13;
pub(super) const ACCUSATIONS: u8 = 14;
pub(super) const NACK: u8 = 15;
pub(super) const COORDINATE: u8 = 17;
pub(super) const AGES: u8 = 18;
pub(super) const KEYRING: u8 = 19;
pub(super) const KEYRING_DIGEST: u8 = 20;
pub(super) const CHALLENGE: u8 = 21;
pub(super) const ECHO: u8 = 22;
pub(super) const FOR: u8 = 23;
pub(super) const USER_EVENT: u8 = 24;
pub(super) const EXAM: u8 = 25;
pub(super) const PADDING: u8 = 26;

/// Every kind with its word, for counters.
pub const KINDS: [(u8, &str); 25] = [
    (SWIM, "swim"),
    (MEMBERS, "members"),
    (RECORDS, "records"),
    (HEADS, "heads"),
    (ROOT, "root"),
    (JOIN, "join"),
    (JOIN_REPLY, "join_reply"),
    (DOWN_NOTICE, "down_notice"),
    (NAME_CLAIM, "name_claim"),
    (ASK, "ask"),
    (ANSWER, "answer"),
    (LEAVE, "leave"),
    (LEAVE_ACK, "leave_ack"),
    (ACCUSATIONS, "accusations"),
    (NACK, "nack"),
    (COORDINATE, "coordinate"),
    (AGES, "ages"),
    (KEYRING, "keyring"),
    (KEYRING_DIGEST, "keyring_digest"),
    (CHALLENGE, "challenge"),
    (ECHO, "echo"),
    (FOR, "for"),
    (USER_EVENT, "user_event"),
    (EXAM, "exam"),
    (PADDING, "padding"),
];
