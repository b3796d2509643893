import { Refusal } from '../../errors.ts';

/** Whether a request has no body, be it that it says nothing of one or that its length is 0. */
export function hasNoBody(body: 'none' | 'chunked' | number): boolean {
  return body === 'none' || body === 0;
}

/** Throws `body_too_large` for a body whose length is announced and over the limit; null = there is none. */
export function checkBodyLength(body: 'none' | 'chunked' | number, limit: number | null): void {
  if (limit !== null && typeof body === 'number' && body > limit) throw bodyTooLarge(limit);
}

export function bodyTooLarge(limit: number): Refusal {
  return new Refusal('body_too_large', `The request body is larger than ${limit} bytes`);
}
