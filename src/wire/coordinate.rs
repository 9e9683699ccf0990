//! A coordinate in 22 bytes.
//!
//! ```text
//!  0       1                 17       19           21     22
//!  +-------+------- - -------+--------+------------+-------+
//!  | scale | 8 x i16: vector | height | adjustment | error |
//!  +-------+------- - -------+--------+------------+-------+
//! ```
//!
//! Lengths are in units of `2^scale` microseconds, little endian; the height has no sign. The writer
//! takes the smallest scale that holds all of them: 1 us up to 32 ms, 32 us up to one second; a
//! scale over 9 (512 us, 16.8 s) is refused, as is what is out of a coordinate's own bounds. The
//! error is in units of 1/128, at most 192. Fixed, where the codec's integers vary: a far node costs
//! no more than a near one.

use crate::model::{COORDINATE_DIMENSIONS, Coordinate};
use bytes::BufMut;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of one coordinate.
pub const COORDINATE_BYTES: usize = 1 + 2 * COORDINATE_DIMENSIONS + 2 + 2 + 1;
const SCALE_MAX: u8 = 9;
const ERROR_UNITS: f64 = 128.0;
const MICROS_PER_S: f64 = 1e6;

const _: () = assert!(
    32_767.0 * (1 << SCALE_MAX) as f64 / MICROS_PER_S > Coordinate::SECONDS_MAX,
    "every coordinate has a scale that holds it"
);

/// A coordinate as it travels; may be out of bounds until [`Self::unpack`] has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedCoordinate([u8; COORDINATE_BYTES]);

impl PackedCoordinate {
    /// Rounds a coordinate to what fits.
    pub fn pack(coordinate: &Coordinate) -> Self {
        let micros = |seconds: f64| seconds * MICROS_PER_S;
        let signed = coordinate
            .vec()
            .iter()
            .chain([&coordinate.adjustment()])
            .fold(0.0, |most: f64, v| most.max(v.abs()));
        let fits = |scale: &u8| {
            micros(signed) / unit(*scale) <= f64::from(i16::MAX)
                && micros(coordinate.height()) / unit(*scale) <= f64::from(u16::MAX)
        };
        let scale = (0..SCALE_MAX).find(fits).unwrap_or(SCALE_MAX);
        let units = |seconds: f64| (micros(seconds) / unit(scale)).round();
        let mut bytes = [0; COORDINATE_BYTES];
        let mut rest = bytes.as_mut_slice();
        rest.put_u8(scale);
        // Casts of floats saturate, and the scale was chosen so that they need not.
        for component in coordinate.vec() {
            rest.put_i16_le(units(*component) as i16);
        }
        rest.put_u16_le(units(coordinate.height()) as u16);
        rest.put_i16_le(units(coordinate.adjustment()) as i16);
        rest.put_u8((coordinate.error() * ERROR_UNITS).round() as u8);
        debug_assert!(rest.is_empty(), "the fields take exactly the bytes of a coordinate");
        Self(bytes)
    }

    /// The coordinate; `None` when it is none.
    pub fn unpack(&self) -> Option<Coordinate> {
        let [scale, lengths @ .., error] = &self.0;
        let error = f64::from(*error) / ERROR_UNITS;
        if *scale > SCALE_MAX || error > Coordinate::ERROR_MAX {
            return None;
        }
        let (lengths, _) = lengths.as_chunks::<2>();
        let [vec @ .., height, adjustment] = lengths else { return None };
        let seconds = |units: f64| units * unit(*scale) / MICROS_PER_S;
        let signed = |bytes: &[u8; 2]| seconds(f64::from(i16::from_le_bytes(*bytes)));
        let mut point = [0.0; COORDINATE_DIMENSIONS];
        for (component, bytes) in point.iter_mut().zip(vec) {
            *component = signed(bytes);
        }
        let height = seconds(f64::from(u16::from_le_bytes(*height)));
        Coordinate::new(point, error, signed(adjustment), height)
    }
}

/// One unit of this scale, in microseconds.
fn unit(scale: u8) -> f64 {
    f64::from(1_u32 << scale.min(31))
}

impl Serialize for PackedCoordinate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de> Deserialize<'de> for PackedCoordinate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <[u8; COORDINATE_BYTES]>::deserialize(d).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Frame;
    use crate::wire::frame::CoordinateMessage;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_comes_back_is_within_half_a_unit(
            shape in prop::array::uniform8(-1.0..1.0f64),
            size in prop::sample::select(vec![1e-5, 1e-3, 0.03, 0.2, 1.0, 10.0]),
            height in 1e-5..1.0f64,
            error in 0.0..1.5f64,
        ) {
            let vec = shape.map(|v| v * size);
            let sent = Coordinate::new(vec, error, -shape[0] * size, height * size).expect("within bounds");
            let got = PackedCoordinate::pack(&sent).unpack().expect("within bounds");
            let half_unit = (size * 1.01 / 32_767.0).max(1e-6);
            for (a, b) in sent.vec().iter().zip(got.vec()) {
                prop_assert!((a - b).abs() <= half_unit, "{a} became {b}");
            }
            prop_assert!((sent.height() - got.height()).abs() <= half_unit.max(1e-5));
            prop_assert!((sent.adjustment() - got.adjustment()).abs() <= half_unit);
            prop_assert!((sent.error() - got.error()).abs() <= 1.0 / 128.0);
        }

        #[test]
        fn every_22_bytes_are_a_coordinate_within_bounds_or_none(bytes in any::<[u8; COORDINATE_BYTES]>()) {
            if let Some(c) = PackedCoordinate(bytes).unpack() {
                prop_assert!(c.vec().iter().all(|v| v.abs() <= Coordinate::SECONDS_MAX));
                prop_assert!((0.0..=Coordinate::ERROR_MAX).contains(&c.error()));
                prop_assert!((Coordinate::HEIGHT_MIN_S..=Coordinate::SECONDS_MAX).contains(&c.height()));
            }
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let mut bytes = PackedCoordinate::pack(&Coordinate::ORIGIN).0;
        assert_eq!(PackedCoordinate(bytes).unpack(), Some(Coordinate::ORIGIN));
        bytes[0] = SCALE_MAX + 1;
        assert_eq!(PackedCoordinate(bytes).unpack(), None, "the scale");
        bytes[0] = SCALE_MAX;
        bytes[1..3].copy_from_slice(&i16::MIN.to_le_bytes());
        assert_eq!(PackedCoordinate(bytes).unpack(), None, "16.8 s in one direction");
        bytes[1..3].fill(0);
        *bytes.last_mut().expect("not empty") = 193;
        assert_eq!(PackedCoordinate(bytes).unpack(), None, "the error");
    }

    #[test]
    fn telling_takes_26_bytes_and_asking_4() {
        let bytes = |message| {
            let mut out = Vec::new();
            Frame::Coordinate(message).encode_into(&mut out);
            out.len()
        };
        let far = Coordinate::new([-9.9; 8], 1.0, 9.9, 9.9).expect("within bounds");
        assert_eq!(bytes(CoordinateMessage::Told(PackedCoordinate::pack(&far))), 26);
        assert_eq!(bytes(CoordinateMessage::Wanted), 4);
    }
}
