//! Records that prove themselves: key and data follow from a seed and a serial number, and the data begins with
//! the serial, so that whoever reads a record back can tell which one it is and whether a byte has changed.

/// Where a run's records come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    /// Another seed, other records.
    pub(crate) seed: u64,
    /// Bytes of data in each record, at least 8.
    pub(crate) data_bytes: usize,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Partition key: 16 hexadecimal digits, well spread.
    pub(crate) key: String,
    /// The serial number in 8 bytes, big endian, then noise that does not compress.
    pub(crate) data: Vec<u8>,
}

impl Records {
    /// The record with this serial number.
    pub(crate) fn get(&self, serial: u64) -> Record {
        let mut state = self.seed ^ serial.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let key = format!("{:016x}", next(&mut state));
        let mut data = Vec::with_capacity(self.data_bytes + 8);
        data.extend_from_slice(&serial.to_be_bytes());
        while data.len() < self.data_bytes {
            data.extend_from_slice(&next(&mut state).to_le_bytes());
        }
        data.truncate(self.data_bytes);
        Record { key, data }
    }

    /// The serial number of a record that was read back, or why it is not one of these.
    pub(crate) fn recognise(&self, key: &str, data: &[u8]) -> Result<u64, String> {
        let serial = data.first_chunk().map(|b| u64::from_be_bytes(*b)).ok_or("a record of fewer than 8 bytes")?;
        let expected = self.get(serial);
        if expected.key != key {
            return Err(format!("record {serial}: partition key {key:?} instead of {:?}", expected.key));
        }
        if expected.data != data {
            return Err(format!("record {serial}: its {} bytes of data are not those that were put", data.len()));
        }
        Ok(serial)
    }
}

/// splitmix64 (Steele, Lea and Flood 2014): cheap, and good enough for noise.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn records_are_distinct_of_the_right_size_and_the_same_again() {
        for data_bytes in [8, 100, 1024] {
            let records = Records { seed: 1, data_bytes };
            let mut keys = HashSet::new();
            for serial in 0..2000 {
                let record = records.get(serial);
                assert_eq!((record.key.len(), record.data.len()), (16, data_bytes));
                assert_eq!(record, records.get(serial));
                assert_eq!(records.recognise(&record.key, &record.data), Ok(serial));
                assert!(keys.insert(record.key), "serial {serial}");
            }
        }
        assert_ne!(Records { seed: 1, data_bytes: 100 }.get(5).key, Records { seed: 2, data_bytes: 100 }.get(5).key);
    }

    #[test]
    fn a_changed_record_is_not_recognised() {
        let records = Records { seed: 7, data_bytes: 100 };
        let record = records.get(42);
        for at in 0..100 {
            let mut data = record.data.clone();
            data[at] ^= 1;
            assert!(records.recognise(&record.key, &data).is_err(), "byte {at}");
        }
        assert!(records.recognise("0000000000000000", &record.data).is_err());
        assert!(records.recognise(&record.key, &record.data[..99]).is_err());
        assert!(records.recognise(&record.key, b"").is_err());
    }
}
