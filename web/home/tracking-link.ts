/** Makes a tracking link to an order of the user's own. */
import { api, outcomeOf } from '../server.ts';

/** The link's path; undefined if none could be made. */
export async function linkTo(id: string, may: 'read' | 'change'): Promise<string | undefined> {
  const { data } = await outcomeOf(
    api.POST('/v1/orders/{id}/tracking-links', { params: { path: { id } }, body: { may } }),
  );
  return data && `/track/${data.token}`;
}
