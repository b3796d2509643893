/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 section 5.2) without touching them, to know whether a
 * frame may be put between them: a close frame inside of another frame's payload would be payload.
 */
export class FrameTracker {
  /** Bytes of the current frame's payload and masking key still to come. */
  #remaining = 0;
  /** Header bytes of the current frame seen so far. */
  readonly #header = Buffer.alloc(10);
  #seen = 0;

  get atBoundary(): boolean {
    return this.#remaining === 0 && this.#seen === 0;
  }

  follow(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#remaining > 0) {
        const skipped = Math.min(this.#remaining, chunk.length - at);
        this.#remaining -= skipped;
        at += skipped;
        continue;
      }
      this.#header[this.#seen++] = chunk[at++]!;
      if (this.#seen === headerLength(this.#header, this.#seen)) {
        this.#remaining = payloadLength(this.#header);
        this.#seen = 0;
      }
    }
  }
}

/** Length of the frame header without masking key; more than `seen` while it cannot be known yet. */
function headerLength(header: Buffer, seen: number): number {
  if (seen < 2) return 2;
  const length = header[1]! & 0x7f;
  return length === 127 ? 10 : length === 126 ? 4 : 2;
}

function payloadLength(header: Buffer): number {
  const masked = (header[1]! & 0x80) !== 0;
  const short = header[1]! & 0x7f;
  const length =
    short === 127 ? Number(header.readBigUInt64BE(2)) : short === 126 ? header.readUInt16BE(2) : short;
  return length + (masked ? 4 : 0);
}

/** An unmasked close frame, as servers send it (RFC 6455 section 5.5.1). */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  const frame = Buffer.alloc(4 + text.length);
  frame[0] = 0x88;
  frame[1] = 2 + text.length;
  frame.writeUInt16BE(code, 2);
  text.copy(frame, 4);
  return frame;
}
