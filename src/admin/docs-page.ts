import { createHash } from 'node:crypto';
import type { Schema } from '../control/services/schema.ts';
import type { Result } from './operation.ts';

/** What of the OpenAPI document the page shows. */
interface Documented {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface DocumentedOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

type Content = Readonly<Record<string, { readonly schema: Referring }>>;

type Referring = Schema & { readonly $ref?: string };

/** Markup that is safe to be part of a page. */
class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | readonly Html[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes every part that is no markup; text between backquotes becomes code. */
function fragment(template: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(String.raw({ raw: template }, ...parts.map(markup)));
}

function markup(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(({ text }) => text).join('');
  const escaped = String(part).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
  return escaped.replace(/`([^`]*)`/g, '<code>$1</code>');
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
code { font: 0.9em ui-monospace, monospace; overflow-wrap: break-word; }
summary code { margin-right: 0.5rem; }
nav a { margin-right: 0.5rem; }
summary { cursor: pointer; padding: 0.3rem 0; }
details { border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
details > :not(summary) { margin-left: 1rem; }
.table { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; }
caption { text-align: left; font-weight: 700; }
td, th { text-align: left; vertical-align: top; padding: 0.15rem 1rem 0.15rem 0; }
th { font-weight: 400; opacity: 0.75; }
.target { scroll-margin-top: 3rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
`;

const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;

/** The OpenAPI document as one page, without scripts and without anything from elsewhere. */
export function docsPage(document: object): Result {
  return {
    status: 200,
    type: 'text/html; charset=utf-8',
    content: Buffer.from(page(document as Documented).text),
    headers: { 'content-security-policy': POLICY },
  };
}

function page({ info, tags, paths, components }: Documented): Html {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const sections = tags.map(
    ({ name, description }) =>
      fragment`<section>
        <h2 id="${name}">${name[0]!.toUpperCase() + name.slice(1)}</h2>
        <p>${description}.</p>
        ${operations.filter(({ operation }) => operation.tags.includes(name)).map((each) => operationPart(each))}
      </section> `,
  );
  const links = tags.map(({ name }) => fragment`<a href="#${name}">${name}</a> `);
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      // A link opens the details that its target lies in, and not those that it is.
      fragment`<details>
        <summary><code>${name}</code></summary>
        <p class="target" id="schema-${name}">${schema.description ?? ''}</p>
        ${fieldTable(schema)}
      </details> `,
  );
  return fragment`<!doctype html>
    <html lang="en">
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>${info.title}</title>
      <style>${new Html(STYLE)}</style>
      <h1>${info.title}</h1>
      <p>${info.description}</p>
      <p>
        The same for programs: <a href="openapi.json">openapi.json</a>. Every call but the probes needs
        <code>Authorization: Bearer TOKEN</code>.
      </p>
      <nav aria-label="Parts of this page">${links}<a href="#objects">objects</a></nav>
      <main>
        ${sections}
        <section>
          <h2 id="objects">Objects</h2>
          ${schemas}
        </section>
      </main>
    </html> `;
}

function operationPart(each: { path: string; method: string; operation: DocumentedOperation }): Html {
  const { path, method, operation } = each;
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const body =
    requestBody === undefined ? fragment`` : fragment`<p>Body: ${contentPart(requestBody.content)}</p> `;
  const rows = parameters.map(
    (parameter) =>
      fragment`<tr>
        <td><code>${parameter.name}</code></td>
        <td>${parameter.in}</td>
        <td>${typeOf(parameter.schema)}</td>
        <td>${parameter.description}</td>
      </tr> `,
  );
  const answers = Object.entries(responses).map(
    ([status, answer]) =>
      fragment`<tr>
        <td>${status}</td>
        <td>${answer.description}</td>
        <td>${answer.content === undefined ? '' : contentPart(answer.content)}</td>
      </tr> `,
  );
  return fragment`<details>
    <summary><span class="method">${method}</span> <code>${path}</code> ${summary}</summary>
    <p class="target" id="${operationId}">${description}</p>
    ${rows.length === 0 ? '' : table('Parameters', ['Name', 'In', 'Type', 'Meaning'], rows)}${body}
    ${table('Answers', ['Status', 'Meaning', 'Body'], answers)}
  </details> `;
}

function table(caption: string, columns: readonly string[], rows: readonly Html[]): Html {
  return fragment`<div class="table">
    <table>
      <caption>${caption}</caption>
      <thead>
        <tr>${columns.map((column) => fragment`<th scope="col">${column}</th>`)}</tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div> `;
}

function contentPart(content: Content): Html {
  const kinds = Object.entries(content).map(([type, { schema }]) => {
    const listed: Referring | undefined = schema.properties?.['items']?.items;
    const [option]: readonly Referring[] = schema.anyOf ?? [];
    const name = (schema.$ref ?? listed?.$ref ?? option?.$ref)?.replace(/^.*\//, '');
    const link = name === undefined ? '' : fragment` <a href="#schema-${name}">${name}</a>`;
    return fragment`<code>${type}</code>${link}${listed === undefined ? '' : ', several as items'}`;
  });
  return fragment`${kinds}`;
}

function fieldTable(schema: Schema): Html {
  return table('Fields', ['Name', 'Type', 'Meaning'], fieldRows(schema, ''));
}

/** A row for every field, those of inner objects by their path. */
function fieldRows({ properties = {}, required = [] }: Schema, prefix: string): readonly Html[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = prefix + name;
    const inner = innerObject(field);
    const row = fragment`<tr>
      <td><code>${path}</code></td>
      <td>${typeOf(field)}${required.includes(name) ? '' : ', optional'}</td>
      <td>${field.description ?? ''}${defaultOf(field)}</td>
    </tr> `;
    return inner === null ? [row] : [row, ...fieldRows(inner.schema, `${path}${inner.suffix}.`)];
  });
}

function innerObject(field: Schema): { readonly schema: Schema; readonly suffix: string } | null {
  if (field.properties !== undefined) return { schema: field, suffix: '' };
  if (field.items?.properties !== undefined) return { schema: field.items, suffix: '[]' };
  const option = field.anyOf?.find(({ properties }) => properties !== undefined);
  return option === undefined ? null : { schema: option, suffix: '' };
}

function defaultOf(field: Schema): string {
  return field.default === undefined ? '' : ` Default: \`${JSON.stringify(field.default)}\``;
}

function typeOf(schema: Schema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(' or ');
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  const { minimum, maximum } = schema;
  if (minimum === undefined || maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) {
    return schema.type ?? 'anything';
  }
  return `${schema.type ?? 'number'} from ${minimum} to ${maximum}`;
}
