//! What a fault does to a word.

/// Every effect of every error model on a word w: w' = (w & and) ^ xor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Bits that keep their stored value, before the flips.
    pub and: u64,
    /// Bits that flip.
    pub xor: u64,
}

impl Effect {
    /// Leaves every word as it is.
    pub const NOTHING: Self = Self { and: u64::MAX, xor: 0 };

    /// The bits of the mask flip.
    pub const fn flip(mask: u64) -> Self {
        Self { and: u64::MAX, xor: mask }
    }

    /// The bits of the mask read 0.
    pub const fn clear(mask: u64) -> Self {
        Self { and: !mask, xor: 0 }
    }

    /// The bits of the mask read 1.
    pub const fn set(mask: u64) -> Self {
        Self { and: !mask, xor: mask }
    }

    /// The whole word becomes another one.
    pub const fn write(word: u64) -> Self {
        Self { and: 0, xor: word }
    }

    /// The word that this effect makes of a word.
    pub const fn on(self, word: u64) -> u64 {
        word & self.and ^ self.xor
    }

    /// This effect, then another one.
    #[must_use]
    pub const fn then(self, next: Self) -> Self {
        Self { and: self.and & next.and, xor: next.on(self.xor) }
    }

    /// This effect on the bits of the mask alone.
    #[must_use]
    pub const fn within(self, mask: u64) -> Self {
        Self { and: self.and | !mask, xor: self.xor & mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_do_what_they_are_called() {
        assert_eq!(Effect::NOTHING.on(0b1010), 0b1010);
        assert_eq!(Effect::flip(0b0011).on(0b1010), 0b1001);
        assert_eq!(Effect::clear(0b0011).on(0b1010), 0b1000);
        assert_eq!(Effect::set(0b0011).on(0b1010), 0b1011);
        assert_eq!(Effect::write(0b0110).on(0b1010), 0b0110);
        assert_eq!(Effect::write(0b0110).within(0b0011).on(0b1010), 0b1010);
        assert_eq!(Effect::write(0b0101).within(0b0011).on(0b1010), 0b1001);
    }

    #[test]
    fn then_is_one_effect_after_the_other() {
        let effects = [
            Effect::NOTHING,
            Effect::flip(0b0110),
            Effect::clear(0b1100),
            Effect::set(0b0011),
            Effect::write(0b1001),
        ];
        for a in effects {
            for b in effects {
                for word in 0..16 {
                    assert_eq!(a.then(b).on(word), b.on(a.on(word)), "{a:?} {b:?} {word:#b}");
                }
            }
        }
    }
}
