/** The dead letters of one group, in pages. */
import { useRef } from 'preact/hooks';
import { Time } from '../elements.tsx';
import { api, outcomeOf } from '../server.ts';
import { GroupActs } from './groups.tsx';
import { type Group, groupAddress, letterAddress } from './letters-address.ts';
import { usePolled, useSteady } from './polled.ts';
import { View } from './view.tsx';

export function Letters({ consumer, error, cursor }: Group & { readonly cursor?: string | undefined }) {
  const query = { group: consumer, error, ...(cursor ? { cursor } : {}) };
  const polled = usePolled(JSON.stringify(query), async () => {
    const [page, groups] = await Promise.all([
      outcomeOf(api.GET('/admin/dlq', { params: { query } })),
      outcomeOf(api.GET('/admin/dlq/groups')),
    ]);
    const faults = [...page.faults, ...groups.faults].slice(0, 1);
    if (!page.data || !groups.data) return { faults };
    const group = groups.data.groups.find((each) => each.consumer === consumer && each.error === error);
    return { faults, data: { ...page.data, group } };
  });
  const table = useRef<HTMLTableSectionElement>(null);
  const rows = useSteady(table, polled.data?.deadLetters ?? [], ({ id }) => id);
  const known = useRef(polled.data?.group);
  known.current = polled.data?.group ?? known.current;
  const next = polled.data?.nextCursor;
  return (
    <View title={error} polled={polled}>
      <div class="title">
        <p>
          Dead letters of <code>{consumer}</code>. <a href="/console/letters">All groups</a>
        </p>
        {known.current && (
          <div class="acts">
            <GroupActs group={known.current} isGone={!polled.data?.group} onChange={polled.reload} />
          </div>
        )}
      </div>
      {rows.length === 0 ? (
        <p class="nothing">No letters of this group: they were replayed or discarded.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Letter</th>
              <th scope="col">Order</th>
              <th scope="col">Topic</th>
              <th scope="col" class="figure">
                Tries
              </th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody ref={table}>
            {rows.map(({ key, row, isGone }) => (
              <tr key={key} class={isGone ? 'gone' : ''}>
                <td data-head="Letter">{isGone ? row.id : <a href={letterAddress(row.id)}>{row.id}</a>}</td>
                <td data-head="Order">{row.orderId}</td>
                <td data-head="Topic">{row.topic}</td>
                <td class="figure" data-head="Tries">
                  {row.retryCount}
                </td>
                <td data-head="Since">
                  <Time at={row.createdAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {(cursor || next) && (
        <p class="pages">
          {cursor && <a href={groupAddress({ consumer, error })}>First page</a>}
          {next && <a href={groupAddress({ consumer, error }, next)}>Next page</a>}
        </p>
      )}
    </View>
  );
}
