/** Lays JSON out in lines without reading its values, so that every digit of a number stays; a pure function. */

const TOKEN = /"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g;

export function laidOut(json: string): string {
  let depth = 0;
  let out = '';
  let last = '';
  const line = () => `\n${'  '.repeat(depth)}`;
  for (const [token] of json.matchAll(TOKEN)) {
    const closes = token === '}' || token === ']';
    if (closes) {
      depth -= 1;
      if (last !== '{' && last !== '[') out += line();
    } else if (last === '{' || last === '[' || last === ',') out += line();
    out += token === ':' ? ': ' : token;
    if (token === '{' || token === '[') depth += 1;
    last = token;
  }
  return out;
}
