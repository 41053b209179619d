/** The documentation of the settings, made from their schemas: docs/configuration.md and .env.example. */
import type { z } from 'zod';
import { SECTIONS } from './settings.ts';

interface Documented {
  readonly name: string;
  readonly takes: string;
  /** The default as written in the environment; empty if there is none. */
  readonly byDefault: string;
  readonly description: string;
}

export function configurationPage(): string {
  const sections = documented().map(([title, settings]) => {
    const rows = settings.map(
      ({ name, takes, byDefault, description }) =>
        `| \`${name}\` | ${takes} | ${byDefault ? `\`${byDefault}\`` : ''} | ${description} |`,
    );
    return [`## ${title}`, '', '| variable | takes | default | |', '|---|---|---|---|', ...rows].join('\n');
  });
  return `# Configuration

Settings are environment variables, or lines of a \`.env\` file in the current directory; the environment wins. An empty variable counts as not set. A wrong value stops the start with a sentence that names it. [.env.example](../.env.example) has them all with their defaults.

<!-- Made by \`npm run configuration\` from cmd/config/settings.ts. -->

${sections.join('\n\n')}
`;
}

export function exampleFile(): string {
  const sections = documented().map(([title, settings]) => {
    const lines = settings.map(({ name, takes, byDefault, description }) =>
      [...wrapped(`${plain(description)} Takes ${plain(takes)}.`), `${name}=${byDefault}`].join('\n'),
    );
    return [`# --- ${title}`, ...lines].join('\n\n');
  });
  return `# Every setting, with its default. Copy to .env, or set them in the environment, which wins.
# Made by \`npm run configuration\`; docs/configuration.md has the same as tables.

${sections.join('\n\n')}
`;
}

function documented(): [title: string, settings: Documented[]][] {
  return Object.entries(SECTIONS).map(([title, settings]) => [
    title,
    Object.entries<z.ZodType>(settings).map(([name, schema]) => ({
      name,
      takes: find(schema, (inner) => inner.meta()?.takes as string | undefined) ?? '',
      byDefault: find(schema, defaultOf) ?? '',
      description: schema.description ?? '',
    })),
  ]);
}

/** The first value that `look` finds in a schema or in the schemas that it wraps. */
function find<T>(schema: z.ZodType | undefined, look: (schema: z.ZodType) => T | undefined): T | undefined {
  if (!schema) return undefined;
  const { innerType, in: input } = schema.def as { innerType?: z.ZodType; in?: z.ZodType };
  return look(schema) ?? find(innerType ?? input, look);
}

function defaultOf(schema: z.ZodType): string | undefined {
  const { type, defaultValue } = schema.def as { type: string; defaultValue?: unknown };
  return type === 'prefault' ? String(defaultValue) : undefined;
}

function plain(markdown: string): string {
  return markdown.replace(/\[([^\]]+)\]\([^)]*\)/g, 'docs/$1').replaceAll('`', '');
}

function wrapped(text: string, width = 116): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`# ${word}`);
  }
  return lines;
}
