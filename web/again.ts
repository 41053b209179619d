/** The link that fills the form with the items of an earlier order; pure functions. */

export interface Again {
  readonly restaurantId?: string;
  readonly items: readonly { readonly itemId: string; readonly quantity: number }[];
}

export function againHash({ restaurantId, items }: Again): string {
  const fields = new URLSearchParams(restaurantId ? { restaurant: restaurantId } : {});
  for (const { itemId, quantity } of items) fields.append('again', `${quantity} ${itemId}`);
  return `#${fields}`;
}

/** Undefined for the hash of another link; what is no line of one is dropped. */
export function againOf(hash: string): Again | undefined {
  const fields = new URLSearchParams(hash.slice(1));
  const items = fields.getAll('again').flatMap((line) => {
    const [, quantity, itemId] = /^(\d{1,4}) (\S{1,64})$/.exec(line) ?? [];
    return itemId === undefined ? [] : [{ itemId, quantity: Number(quantity) }];
  });
  const restaurantId = fields.get('restaurant');
  return items.length === 0 ? undefined : { ...(restaurantId ? { restaurantId } : {}), items };
}
