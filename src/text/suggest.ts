/** The candidate that a mistyped word most likely meant, or null. */
export function suggest(word: string, candidates: readonly string[]): string | null {
  if (word.length > 64) return null;
  const plain = fold(word);
  let best: string | null = null;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = edits(plain, fold(candidate));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** `public_url`, `public-url` and `publicURL` all mean `publicUrl`. */
function fold(word: string): string {
  return word.replace(/[-_\s]/g, '').toLowerCase();
}

/** Insertions, deletions and replacements between two words (Levenshtein). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
