/** A response as far as it matters here. */
export interface Answer {
  readonly status: number;
  /** Name in lower case and value, in wire order. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface Read {
  /** Final responses that are there as a whole. */
  readonly answers: readonly Answer[];
  /** The last one, where its body has not ended; its head counts all the same. */
  readonly begun: Answer | null;
  /** Bytes came that are no HTTP/1 response. */
  readonly noise: boolean;
}

/**
 * Takes apart what one connection carried so far, one character a byte. Lenient, since it reads what any gateway may
 * write. `closed`: nothing follows, so that a body without framing has ended.
 */
export function readAnswers(text: string, closed: boolean): Read {
  const answers: Answer[] = [];
  let rest = text;
  while (rest !== '') {
    const head = /^HTTP\/1\.[01] (\d{3})[^\n]*\n((?:[^\r\n][^\n]*\n)*)\r?\n/.exec(rest);
    if (head === null) return { answers, begun: null, noise: !'HTTP/1.'.startsWith(rest.slice(0, 7)) || closed };
    const status = Number(head[1]);
    const headers = fieldsOf(head[2] ?? '');
    rest = rest.slice(head[0].length);
    if (status < 200 && status !== 101) continue;
    const body = bodyOf(rest, status, headers, closed);
    if (body === null) return { answers, begun: { status, headers, body: rest }, noise: false };
    answers.push({ status, headers, body: body.text });
    rest = body.rest;
  }
  return { answers, begun: null, noise: false };
} // prettier-ignore

export function headerOf({ headers }: Answer, name: string): string | null {
  return headers.find(([each]) => each === name)?.[1] ?? null;
}

/** The JSON object in the body; null = there is none. */
export function objectOf({ body }: Answer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(body, 'latin1').toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function fieldsOf(lines: string): [string, string][] {
  return lines
    .split('\n')
    .filter((line) => line.includes(':'))
    .map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()];
    });
}

/** null = it has not ended yet. */
function bodyOf(
  text: string,
  status: number,
  headers: readonly (readonly [string, string])[],
  closed: boolean,
): { text: string; rest: string } | null {
  const value = (name: string) => headers.find(([each]) => each === name)?.[1];
  // What follows a switch of protocols is not HTTP any more.
  if (status === 101) return { text: '', rest: '' };
  if (status === 204 || status === 304) return { text: '', rest: text };
  if (value('transfer-encoding')?.toLowerCase() === 'chunked') return chunksOf(text);
  const length = value('content-length');
  if (length === undefined) return closed ? { text, rest: '' } : null;
  const end = Number(length);
  return text.length < end ? null : { text: text.slice(0, end), rest: text.slice(end) };
}

function chunksOf(text: string): { text: string; rest: string } | null {
  let body = '';
  let rest = text;
  for (;;) {
    const line = /^([0-9a-f]+)[^\n]*\n/i.exec(rest);
    if (line === null) return null;
    const size = parseInt(line[1]!, 16);
    rest = rest.slice(line[0].length);
    if (size === 0) break;
    if (rest.length < size + 2) return null;
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  const trailers = /^(?:[^\r\n][^\n]*\n)*\r?\n/.exec(rest);
  return trailers === null ? null : { text: body, rest: rest.slice(trailers[0].length) };
}
