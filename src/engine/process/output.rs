//! Splits what a program prints into lines, in constant memory.
//!
//! Bytes come in pieces of any size; a line longer than [`LONGEST`] is cut, with a note of how much is missing. A
//! program that prints for ever without a line end costs one line's memory.

/// The longest line that is kept, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// Splits pieces into lines.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    cut: u64,
}

impl Lines {
    /// Takes a piece and passes each line that it completes, without its line end, to `keep`.
    pub fn take(&mut self, mut piece: &[u8], mut keep: impl FnMut(String)) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.add(&piece[..end]);
            keep(self.text());
            piece = &piece[end + 1..];
        }
        self.add(piece);
    }

    /// Passes the last line to `keep` if it has no line end.
    pub fn finish(&mut self, mut keep: impl FnMut(String)) {
        if !self.line.is_empty() {
            keep(self.text());
        }
    }

    fn add(&mut self, piece: &[u8]) {
        let room = LONGEST.saturating_sub(self.line.len());
        let (kept, cut) = piece.split_at(room.min(piece.len()));
        self.line.extend_from_slice(kept);
        self.cut += cut.len() as u64;
    }

    fn text(&mut self) -> String {
        let mut text = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        if self.cut > 0 {
            text.push_str(&format!(" [cut: the line is {} bytes longer]", self.cut));
        }
        self.line.clear();
        self.cut = 0;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut kept) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.take(piece, |line| kept.push(line));
        }
        lines.finish(|line| kept.push(line));
        kept
    }

    #[test]
    fn pieces_become_lines() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&[b"a\n"]), ["a"]);
        assert_eq!(lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let long = vec![b'x'; LONGEST + 5];
        let more = [b'x'; 7];

        let kept = lines(&[&long, &more, b"\nnext\n"]);

        assert!(kept[0].ends_with("x [cut: the line is 12 bytes longer]"), "{}", &kept[0][LONGEST - 1..]);
        assert_eq!(kept[1], "next");
    }
}
