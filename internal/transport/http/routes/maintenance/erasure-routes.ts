/** The operator's route that erases what is stored about a customer. */
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { type EraseDeps, eraseCustomer } from '../../../../service/maintenance/erase-customer.ts';
import { ERASED_ROWS } from '../../../../service/maintenance/ports.ts';
import { type Route, route } from '../../route.ts';
import { textOf } from '../orders/order-schemas.ts';

const customerId = textOf(128).min(1, 'must not be empty');
const count = z.int().min(0);
const erasure = z
  .object({
    customerId: z.string(),
    erased: z.object(
      Object.fromEntries(ERASED_ROWS.map((what) => [what, count])) as Record<
        (typeof ERASED_ROWS)[number],
        typeof count
      >,
    ),
  })
  .meta({ id: 'Erasure' });

export function erasureRoutes(deps: EraseDeps): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/admin/customers/:id/erasure',
      params: { id: customerId },
      access: { roles: ['operator'] },
      tag: 'Customers',
      summary:
        'Erases names, addresses, phone numbers, notes and payment tokens of a customer; amounts, ids, statuses and times stay',
      answers: {
        200: {
          description: 'How many rows were erased now; none if it was done before',
          schema: erasure,
        },
        400: { description: 'The id is not one of a customer' },
        409: { description: 'The customer has orders that have not ended; the detail names them' },
      },
      async handle(ctx, { params: { id } }) {
        if (!customerId.safeParse(id).success) {
          const detail = 'a customer’s id has 1 to 128 characters without control characters';
          throw new TiffinError('INVALID_INPUT', detail, {
            problems: [{ code: 'INVALID_CUSTOMER_ID', detail }],
          });
        }
        ctx.body = { customerId: id, erased: await eraseCustomer(deps, id) };
      },
    }),
  ];
}
