/** Quotes a value for a message: bounded, on one line, without credentials and without what could steer a terminal. */
export function quote(value: string | number | boolean | null): string {
  const text = (typeof value === 'string' ? JSON.stringify(value) : String(value)).replace(
    /\/\/[^/@"]*@/g,
    '//***@',
  );
  const short = text.length > 100 ? `${text.slice(0, 97)}..."` : text;
  return short.replace(
    /[^\x20-\x7e\p{L}\p{N}\p{P}\p{S}]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
