/**
 * Values by text, for tokens and their parts. A `Map` by string would do, but V8 makes each string that it is asked
 * for, found or not, one of its unique ones: it hashes all of it, and a copy of what strangers make up stays until the
 * next full collection. Here a few characters choose the place and the whole text decides. Of two texts that share a
 * place the later one has it.
 */
export class ByText<V> {
  readonly #places = new Map<number, { readonly text: string; readonly value: V }>();

  get size(): number {
    return this.#places.size;
  }

  get(text: string): V | undefined {
    const held = this.#places.get(placeOf(text));
    return held?.text === text ? held.value : undefined;
  }

  set(text: string, value: V): void {
    this.#places.set(placeOf(text), { text, value });
  }

  /** Forgets the text if that is still its value. */
  delete(text: string, value: V): void {
    const place = placeOf(text);
    if (this.#places.get(place)?.value === value) this.#places.delete(place);
  }

  clear(): void {
    this.#places.clear();
  }
}

/** Of a JWT they are part of the signature: 96 bits that nobody without the key can choose. */
const LAST = 16;

/** 32 bits of a text's length and end: the same for the same text, and for two texts rarely. */
export function placeOf(text: string): number {
  let place = text.length;
  for (let i = Math.max(0, text.length - LAST); i < text.length; i++) {
    place = (Math.imul(place, 31) + text.charCodeAt(i)) | 0;
  }
  return place;
}
