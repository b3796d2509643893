import { CONFIG_FILE } from './schema.ts';

/** The schema of configuration files as config/schema.json has to say it. */
export function schemaText(): string {
  return `${JSON.stringify(CONFIG_FILE, null, 2)}\n`;
}
