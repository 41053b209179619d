CREATE TABLE "installation" (
	"only_row" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"database_id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"created_at" timestamptz(3) DEFAULT now() NOT NULL,
	CONSTRAINT "installation_only_row_check" CHECK ("installation"."only_row")
);
--> statement-breakpoint
INSERT INTO "installation" DEFAULT VALUES;
