//! The framing of TensorFlow's record files.

use std::io::{self, Read};

/// Added to a rotated checksum, so that the checksum of data that holds checksums stays useful.
const MASK: u32 = 0xa282_ead8;

/// Longest record that is read back, bytes.
const LONGEST: u64 = 256 << 20;

/// The masked checksum of a record.
///
/// ```text
/// masked = ((crc32c ≫ 15) | (crc32c ≪ 17)) + 0xa282ead8   (mod 2³²)
/// ```
///
/// Source: verbatim, TensorFlow's record format.
pub fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

/// One record: length, checksum of the length, data, checksum of the data; integers little-endian.
pub fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked_crc(data).to_le_bytes());
    record
}

/// Reads the next record; `None` at the end, a record that was cut short included.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where a checksum does not agree, or what `input` reports.
pub fn read_frame(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut head = [0u8; 12];
    if !filled(input, &mut head)? {
        return Ok(None);
    }
    let (length, sum) = head.split_at(8);
    if masked_crc(length).to_le_bytes() != sum {
        return Err(bad("the checksum of a record's length does not agree"));
    }
    let mut number = [0u8; 8];
    number.copy_from_slice(length);
    let length = u64::from_le_bytes(number);
    if length > LONGEST {
        return Err(bad("a record is longer than any event"));
    }
    let mut data = vec![0u8; length as usize];
    let mut sum = [0u8; 4];
    if !filled(input, &mut data)? || !filled(input, &mut sum)? {
        return Ok(None);
    }
    if masked_crc(&data).to_le_bytes() != sum {
        return Err(bad("the checksum of a record's data does not agree"));
    }
    Ok(Some(data))
}

fn filled(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_checksum_is_castagnoli_masked() {
        // CRC-32C of "123456789" is 0xE3069283 (RFC 3720's polynomial); masked as the record format says.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let expected = 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_crc(b"123456789"), expected);
    }

    #[test]
    fn records_come_back_and_a_cut_one_ends_the_file() {
        let mut file = frame(b"first");
        file.extend(frame(b""));
        let whole = file.len();
        file.extend(&frame(b"cut short")[..20]);
        let mut input = file.as_slice();
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"first");
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"");
        assert_eq!(read_frame(&mut input).unwrap(), None);
        assert_eq!(whole, 16 + 5 + 16);
    }

    #[test]
    fn a_flipped_bit_is_noticed_in_length_and_data() {
        for place in [0, 14] {
            let mut file = frame(b"first");
            file[place] ^= 1;
            let error = read_frame(&mut file.as_slice()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
