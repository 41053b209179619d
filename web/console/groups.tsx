/** Dead letters by consumer and error: replay or discard a group. */
import { useRef, useState } from 'preact/hooks';
import type { components } from '../api.d.ts';
import { Asked } from '../asked.tsx';
import { Time } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { api, outcomeOf } from '../server.ts';
import { groupAddress, lettersText } from './letters-address.ts';
import { usePolled, useSteady } from './polled.ts';
import { Act, View } from './view.tsx';

type Group = components['schemas']['DeadLetterGroup'];

const keyOf = ({ consumer, error }: Group) => JSON.stringify([consumer, error]);

/** `consumer` restricts the view to the groups of one. */
export function Groups({ consumer }: { readonly consumer?: string | undefined }) {
  const polled = usePolled('groups', () => outcomeOf(api.GET('/admin/dlq/groups')));
  const table = useRef<HTMLTableSectionElement>(null);
  const groups = polled.data?.groups.filter((group) => !consumer || group.consumer === consumer) ?? [];
  const rows = useSteady(table, groups, keyOf);
  return (
    <View
      title="Dead letters"
      polled={polled}
      aside={
        consumer && (
          <p>
            of <code>{consumer}</code> <a href="/console/letters">Show all</a>
          </p>
        )
      }
    >
      {!polled.data?.isComplete && (
        <p class="notice">
          There are very many. These are the largest groups among the newest 10,000 letters and parked events.
        </p>
      )}
      {rows.length === 0 ? (
        <p class="nothing">
          No dead letters. When a consumer cannot handle an event after three tries, it appears here by
          itself; mend the cause first, then replay it.
        </p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Error</th>
              <th scope="col">Consumer</th>
              <th scope="col" class="figure">
                Letters
              </th>
              <th scope="col">First</th>
              <th scope="col">Last</th>
              <th scope="col">Actions</th>
            </tr>
          </thead>
          <tbody ref={table}>
            {rows.map(({ key, row, isGone }) => (
              <GroupRow key={key} group={row} isGone={isGone} onChange={polled.reload} />
            ))}
          </tbody>
        </table>
      )}
    </View>
  );
}

interface GroupRowProps {
  readonly group: Group;
  readonly isGone: boolean;
  readonly onChange: () => void;
}

function GroupRow({ group, isGone, onChange }: GroupRowProps) {
  return (
    <tr class={isGone ? 'gone' : ''}>
      <td class="error">{isGone ? group.error : <a href={groupAddress(group)}>{group.error}</a>}</td>
      <td data-head="Consumer">
        <a class="plain-link" href={`/console/letters?${new URLSearchParams({ consumer: group.consumer })}`}>
          {group.consumer}
        </a>
      </td>
      <td class="figure" data-head="Letters">
        {isGone ? 0 : group.count.toLocaleString('en')}
      </td>
      <td data-head="First">
        <Time at={group.firstAt} />
      </td>
      <td data-head="Last">
        <Time at={group.lastAt} />
      </td>
      <td class="acts">
        <GroupActs group={group} isGone={isGone} onChange={onChange} />
      </td>
    </tr>
  );
}

/** The buttons of a group, and how far its replay is. */
export function GroupActs({ group, isGone, onChange }: GroupRowProps) {
  const [asked, setAsked] = useState(0);
  const { consumer, error } = group;
  const params = { query: { group: consumer, error } };
  const what = `${lettersText(group.count)} of ${consumer}: ${error}`;
  const waiting = isGone ? 0 : group.replaying;
  const all = Math.max(asked, waiting);
  return (
    <>
      {all > 0 && (
        <p class="replay" role="status">
          <progress aria-label={`Replay of ${what}`} max={all} value={all - waiting} />
          {waiting > 0 ? `${all - waiting} of ${all} replayed` : replayedText(all, isGone)}
        </p>
      )}
      {!isGone && (
        <div class="buttons">
          <Act
            text="Replay"
            label={`Replay ${what}`}
            disabled={waiting > 0}
            act={async () => {
              const outcome = await outcomeOf(api.POST('/admin/dlq/replay', { params }));
              if (outcome.data) setAsked(outcome.data.count);
              onChange();
              return outcome;
            }}
          />
          <Asked
            text="Discard …"
            title={`Discard ${lettersText(group.count)}?`}
            yes="Discard them"
            no="Keep them"
            isBad
            act={async () => {
              const { faults } = await outcomeOf(api.DELETE('/admin/dlq', { params }));
              onChange();
              return sentenceOf(faults);
            }}
          >
            <p>
              {consumer} will not handle these events: <q>{error}</q>. Later events of their orders go on.
              This cannot be undone.
            </p>
          </Asked>
        </div>
      )}
    </>
  );
}

function replayedText(all: number, isGone: boolean): string {
  return isGone ? `${lettersText(all)} replayed` : 'Replayed; those shown failed again';
}
