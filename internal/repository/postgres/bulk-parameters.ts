/** Many rows as the parameters of one statement, a column each. */
import { toJson } from './database.ts';

/** The type of a column in SQL; 'words' is text that may be empty or have line breaks. */
type ColumnType =
  | 'words'
  | 'text'
  | 'uuid'
  | 'int'
  | 'boolean'
  | 'numeric'
  | 'timestamptz'
  | 'json'
  | 'jsonb';

export interface BulkParameters<Name extends string> {
  /** What stands after FROM or JOIN, with a name behind it: the rows, as the statement's first parameters. */
  readonly from: string;
  readonly names: string;
  /** @throws RangeError if a value has a line break where its type has no room for one. */
  values(rows: readonly { readonly [name in Name]?: unknown }[]): string[];
}

/**
 * Each column is a text whose lines are its values, an empty line for NULL; JSON has no line break of its own. (Decision
 * 21 says why it is neither json_to_recordset nor arrays.)
 */
export function bulkParameters<Name extends string>(
  columns: Readonly<Record<Name, ColumnType>>,
): BulkParameters<Name> {
  const all = Object.entries(columns) as [Name, ColumnType][];
  const names = all.map(([name]) => name).join(', ');
  const lines = all.map(([, type], n) => `string_to_array($${n + 1}, E'\\n', '')::${sqlType(type)}[]`);
  const decoded = all.map(([name, type]) => (type === 'words' ? `${name} #>> '{}' AS ${name}` : name));
  return {
    from: `(SELECT ${decoded.join(', ')} FROM unnest(${lines.join(', ')}) AS l(${names}))`,
    names,
    values: (rows) => all.map(([name, type]) => rows.map((row) => toLine(row[name], type)).join('\n')),
  };
}

function sqlType(type: ColumnType): string {
  return type === 'words' ? 'json' : type;
}

function toLine(value: unknown, type: ColumnType): string {
  if (value === undefined || value === null) return '';
  if (type === 'words' || type === 'json' || type === 'jsonb') return toJson(value);
  const line = String(value);
  if (line.includes('\n'))
    throw new RangeError(`a value of type ${type} is one line: ${JSON.stringify(line)}`);
  return line;
}
