/** The restaurants, and the menu of the chosen one: prices, what is left, and how many of each are ordered. */
import { useEffect, useState } from 'preact/hooks';
import type { components } from '../api.d.ts';
import { FaultText } from '../elements.tsx';
import { sentenceOf } from '../faults.ts';
import { api, outcomeOf } from '../server.ts';
import { moneyText } from '../words.ts';
import { FaultsAt } from './field.tsx';
import type { Line, Values } from './order-request.ts';

type Restaurant = components['schemas']['OpenRestaurant'];
type Dish = components['schemas']['DishOnMenu'];
const MOST_RESTAURANTS = 100;

interface MenuProps {
  readonly restaurantId: string;
  readonly lines: readonly Line[];
  readonly onChange: (part: Partial<Values>) => void;
}

export function Menu({ restaurantId, lines, onChange }: MenuProps) {
  const [restaurants, setRestaurants] = useState<readonly Restaurant[]>();
  const [fault, setFault] = useState('');
  useEffect(() => {
    const query = { limit: MOST_RESTAURANTS };
    void outcomeOf(api.GET('/v1/restaurants', { params: { query } })).then(({ data, faults }) => {
      setFault(sentenceOf(faults));
      setRestaurants(data?.restaurants ?? []);
      const first = data?.restaurants.find(({ isOpen }) => isOpen);
      if (!restaurantId && first) onChange({ restaurantId: first.restaurantId });
    });
  }, []);
  return (
    <>
      <fieldset>
        <legend>Restaurant</legend>
        {restaurants?.length === 0 && !fault && <p class="hint">There is no restaurant yet.</p>}
        {restaurants?.map(({ restaurantId: id, name, isOpen, preparationS }) => (
          <label key={id} class="choice">
            <input
              type="radio"
              name="restaurant"
              checked={id === restaurantId}
              disabled={!isOpen}
              onChange={() => onChange({ restaurantId: id, lines: [] })}
            />
            <span>
              {name}{' '}
              <span class="hint">
                {isOpen ? `about ${Math.max(1, Math.round(preparationS / 60))} min to prepare` : 'closed'}
              </span>
            </span>
          </label>
        ))}
        <FaultText text={fault} />
        <FaultsAt pointers={['/restaurantId']} />
      </fieldset>
      {restaurantId && (
        <Dishes key={restaurantId} restaurantId={restaurantId} lines={lines} onChange={onChange} />
      )}
    </>
  );
}

function Dishes({ restaurantId, lines, onChange }: MenuProps) {
  const [menu, setMenu] = useState<components['schemas']['Menu']>();
  const [fault, setFault] = useState('');
  useEffect(() => {
    const params = { path: { rid: restaurantId } };
    void outcomeOf(api.GET('/v1/restaurants/{rid}/menu', { params })).then(({ data, faults }) => {
      setFault(sentenceOf(faults));
      setMenu(data);
    });
  }, [restaurantId]);
  const countOf = (itemId: string) => Number(lines.find((line) => line.itemId === itemId)?.quantity ?? 0);
  const setCount = (itemId: string, count: number) => {
    const quantity = String(count);
    const isThere = lines.some((line) => line.itemId === itemId);
    const changed = isThere
      ? lines.map((line) => (line.itemId === itemId ? { ...line, quantity } : line))
      : [...lines, { itemId, quantity, unitPrice: '' }];
    onChange({ lines: changed.filter((line) => line.quantity !== '0') });
  };
  const pointers = [
    '/items',
    ...lines.flatMap((_, n) => ['', '/itemId', '/quantity'].map((of) => `/items/${n}${of}`)),
  ];
  return (
    <fieldset>
      <legend>Menu</legend>
      {menu?.items.length === 0 && <p class="hint">Nothing is on the menu.</p>}
      <ul class="plain dishes">
        {menu?.items.map((dish) => (
          <DishLine
            key={dish.itemId}
            dish={dish}
            currency={menu.currency}
            count={countOf(dish.itemId)}
            onCount={(count) => setCount(dish.itemId, count)}
          />
        ))}
      </ul>
      <FaultText text={fault} />
      <FaultsAt pointers={pointers} />
    </fieldset>
  );
}

interface DishProps {
  readonly dish: Dish;
  readonly currency: string;
  readonly count: number;
  readonly onCount: (count: number) => void;
}

/** From this many on, what is left is not worth saying. */
const PLENTY = 10;

function DishLine({ dish: { name, price, left }, currency, count, onCount }: DishProps) {
  return (
    <li>
      <span>
        {name}
        <span class="hint">
          {moneyText(price, currency)}
          {left === 0 ? ' · sold out' : left < PLENTY ? ` · ${left} left` : ''}
        </span>
      </span>
      <span class="stepper">
        <button
          type="button"
          aria-label={`One less ${name}`}
          disabled={count === 0}
          onClick={() => onCount(count - 1)}
        >
          −
        </button>
        <output aria-label={`${name}: how many`}>{count}</output>
        <button
          type="button"
          aria-label={`One more ${name}`}
          disabled={count >= left}
          onClick={() => onCount(count + 1)}
        >
          +
        </button>
      </span>
    </li>
  );
}
