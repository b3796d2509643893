import { METHODS } from 'node:http';

/** The methods that a request may have, in capital letters as on the wire, whatever the protocol version. */
export const METHOD_NAMES: ReadonlySet<string> = new Set(METHODS);
