import { IncomingMessage } from 'node:http';
import { ANSWERS, AnswerError } from './answers.ts';

const LIMIT = 64 * 1024;

/** Reads a form body of at most 64 KiB. Throws an AnswerError for a longer one, another type or a doubled field. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  const type = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') throw new AnswerError(ANSWERS.wrongType);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT) throw new AnswerError(ANSWERS.tooLarge);
    chunks.push(chunk);
  }
  const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
  if (new Set(form.keys()).size !== form.size) throw new AnswerError(ANSWERS.duplicate);
  return form;
}

/** The same request with another body: the provider reads its forms from the request itself. */
export function withForm(req: IncomingMessage, form: URLSearchParams): IncomingMessage {
  const body = Buffer.from(form.toString());
  const copy = Object.assign(new IncomingMessage(req.socket), {
    originalUrl: (req as { originalUrl?: string }).originalUrl,
  });
  copy.method = req.method;
  copy.url = req.url;
  copy.httpVersion = req.httpVersion;
  copy.httpVersionMajor = req.httpVersionMajor;
  copy.httpVersionMinor = req.httpVersionMinor;
  copy.headers = {
    ...req.headers,
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(body.length),
  };
  delete copy.headers['transfer-encoding'];
  // Complete from the start: otherwise the end of this stream would count as the client's going away.
  copy.complete = true;
  copy.push(body);
  copy.push(null);
  return copy;
}
