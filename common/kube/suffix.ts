/** Letters for made-up parts of names: no vowels, no look-alikes (k8s.io/apimachinery/pkg/util/rand). */
export const SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789";

/** Such letters, `length` of them; `random(n)` gives a number from 0 to n - 1. */
export function suffix(random: (below: number) => number, length = 5): string {
  let letters = "";
  for (let at = 0; at < length; at += 1) letters += SUFFIX_LETTERS[random(SUFFIX_LETTERS.length)];
  return letters;
}
