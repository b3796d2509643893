import { expect, test } from 'vitest';
import { closeFrame, FrameTracker } from '../../../src/gateway/forward/web-socket-frames.ts';

function frame(length: number, masked: boolean, form: 7 | 16 | 64 = 7): Buffer {
  const bit = masked ? 0x80 : 0;
  const head = form === 7 ? Buffer.from([0x82, bit | length]) : Buffer.alloc(form === 16 ? 4 : 10);
  if (form !== 7) {
    head[0] = 0x82;
    head[1] = bit | (form === 16 ? 126 : 127);
    if (form === 16) head.writeUInt16BE(length, 2);
    else head.writeBigUInt64BE(BigInt(length), 2);
  }
  // A payload of bytes that would be a frame of their own if they were taken for one.
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0, 0x88), Buffer.alloc(length, 0x81)]);
}

const FRAMES = [
  frame(0, false),
  frame(0, true),
  frame(1, false),
  frame(125, true),
  frame(5, false, 16),
  frame(126, true, 16),
  frame(65_535, false, 16),
  frame(0, false, 64),
  frame(3, true, 64),
  frame(65_536, true, 64),
];

test('every form of header is followed, whatever the split', () => {
  for (const [i, bytes] of FRAMES.entries()) {
    const splits = bytes.length < 300 ? bytes.length : 40;
    for (let at = 1; at < splits; at++) {
      const tracker = new FrameTracker();
      tracker.follow(bytes.subarray(0, at));
      expect(tracker.atBoundary, `frame ${i} split at ${at}`).toBe(false);
      tracker.follow(bytes.subarray(at));
      expect(tracker.atBoundary, `frame ${i} split at ${at}`).toBe(true);
    }
  }
});

test('frames byte by byte, one behind the other, have a border after each and nowhere else', () => {
  const tracker = new FrameTracker();
  const borders: number[] = [];
  const bytes = Buffer.concat(FRAMES);
  for (let i = 0; i < bytes.length; i++) {
    tracker.follow(bytes.subarray(i, i + 1));
    if (tracker.atBoundary) borders.push(i + 1);
  }
  let end = 0;
  expect(borders).toEqual(FRAMES.map(({ length }) => (end += length)));
});

test('frames that share a chunk are followed to the last one', () => {
  const tracker = new FrameTracker();
  const bytes = Buffer.concat([...FRAMES, frame(10, false)]);
  tracker.follow(bytes.subarray(0, -1));
  expect(tracker.atBoundary).toBe(false);
  tracker.follow(bytes.subarray(-1));
  expect(tracker.atBoundary).toBe(true);
});

test('an empty chunk changes nothing, and a fresh tracker stands at a border', () => {
  const tracker = new FrameTracker();
  expect(tracker.atBoundary).toBe(true);
  tracker.follow(Buffer.alloc(0));
  expect(tracker.atBoundary).toBe(true);
});

test('a close frame has its code and reason, unmasked', () => {
  expect(closeFrame(1008, 'no')).toEqual(Buffer.from([0x88, 4, 0x03, 0xf0, 0x6e, 0x6f]));
});
