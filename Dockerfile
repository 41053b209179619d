# The supported line of Node. The digest names the image for all platforms; docs/operations.md says how it is renewed.
FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS base
WORKDIR /app
COPY package.json package-lock.json tsconfig.json ./

# The pages are built with the packages of development, which the image itself does not have.
FROM base AS pages
RUN npm ci --ignore-scripts
COPY cmd ./cmd
COPY internal ./internal
COPY web ./web
RUN npm run pages

FROM base
RUN npm ci --omit=dev
COPY cmd ./cmd
COPY internal ./internal
COPY --from=pages /app/web ./web
# Others can reach a container, so it does not start without a key for tokens (AUTH_JWT_SECRET, AUTH_JWT_SECRET_FILE or
# AUTH_JWKS_URL), or AUTH=off where something in front of it decides who may come in.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 LOG_FORMAT=json
USER node
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# A larger young generation: requests leave much short-lived garbage. One helper thread: more of them contend with the program.
ENTRYPOINT ["node", "--max-semi-space-size=64", "--v8-pool-size=1", "--import", "tsx", "cmd/tiffin.ts"]
