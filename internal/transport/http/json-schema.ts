/** Derives JSON Schema from the zod schemas that check requests and describe answers. */
import { z } from 'zod';

export type Json = Record<string, unknown>;

/** The JSON schema of a type's input, before transformations, as clients see it. Adds named schemas to `schemas`. */
export function schemaOf(schema: z.ZodType, schemas: Record<string, Json>): Json {
  const { $schema, $defs, ...own } = jsonSchemaOf(schema);
  for (const [name, definition] of Object.entries($defs ?? {})) schemas[name] ??= inComponents(definition);
  return inComponents(own);
}

export function jsonSchemaOf(schema: z.ZodType) {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // zod adds these bounds to every integer; they are no information.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      // `format` says the same as the pattern, which has a thousand characters.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
    },
  });
}

function inComponents(schema: unknown): Json {
  return JSON.parse(
    JSON.stringify(schema, (key, value) =>
      key === '$ref' ? String(value).replace('#/$defs/', '#/components/schemas/') : value,
    ),
  );
}
