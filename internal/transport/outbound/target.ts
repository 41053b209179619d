/** The address of a provider: a user and password in its URL go into a header, since `fetch` refuses such a URL and quotes it. */

export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function targetOf(text: string): Target {
  const url = new URL(text);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (!username && !password) return { url: text, headers: {} };
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url: url.href, headers: { authorization: `Basic ${Buffer.from(user).toString('base64')}` } };
}
