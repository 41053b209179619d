CREATE TABLE "erased_orders" (
	"order_id" varchar(64) COLLATE "C" PRIMARY KEY NOT NULL,
	"customer_id" varchar(128) NOT NULL,
	"erased_at" timestamptz(3) NOT NULL
);
--> statement-breakpoint
CREATE TABLE "erasures" (
	"customer_id" varchar(128) COLLATE "C" PRIMARY KEY NOT NULL,
	"requested_at" timestamptz(3) NOT NULL,
	"erased_at" timestamptz(3),
	"settled_at" timestamptz(3)
);
--> statement-breakpoint
CREATE INDEX "erased_orders_by_customer" ON "erased_orders" USING btree ("customer_id","order_id");--> statement-breakpoint
CREATE INDEX "orders_by_customer" ON "orders" USING btree ("customer_id","order_id") WHERE "orders"."customer_id" is not null;