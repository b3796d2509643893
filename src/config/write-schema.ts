/* Writes config/schema.json: `node src/config/write-schema.ts`, after each change of schema.ts or formats.ts. */
import { writeFileSync } from 'node:fs';
import { schemaText } from './schema-text.ts';

writeFileSync(new URL('../../config/schema.json', import.meta.url), schemaText());
