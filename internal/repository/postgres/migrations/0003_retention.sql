CREATE INDEX "notifications_by_age" ON "notifications" USING brin ("created_at");--> statement-breakpoint
CREATE INDEX "payments_by_age" ON "payments" USING brin ("requested_at");