# A small image of the program alone:
#
#   docker build -t realmgate .
#   docker run --read-only -v realmgate-data:/var/lib/realmgate \
#     -v ./realmgate.yaml:/etc/realmgate/realmgate.yaml:ro -p 8080:8080 realmgate
#
# In the configuration, listen on 0.0.0.0 where clients come from outside of the container. Nothing but
# /var/lib/realmgate is written: a relative dataDir, such as the default, lies in it. `docker stop` waits 10 s; give
# it --time longer than gateway.timeouts.drain.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Brings Node 26 as a package of its own, whose headers and manuals nothing reads here.
RUN npm ci --omit=dev --no-audit && \
    rm -rf node_modules/node-linux-*/include node_modules/node-linux-*/share
COPY config/schema.json config/
COPY src src/

FROM debian:bookworm-slim
# What Node 26 is linked with besides the C library, and what fetches the repositories of services. What the services
# themselves need, such as Python, an image made from this one adds.
RUN apt-get update && \
    apt-get install -y --no-install-recommends libatomic1 libstdc++6 ca-certificates git openssh-client && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
RUN install -d -o 10001 -g 10001 -m 700 /var/lib/realmgate
USER 10001:10001
WORKDIR /var/lib/realmgate
VOLUME /var/lib/realmgate
EXPOSE 8080 8081
# Where admin.listen is, as seen from inside; for the health check only.
ENV REALMGATE_ADMIN_URL=http://127.0.0.1:8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["/app/node_modules/.bin/node", "-e", "fetch(process.env.REALMGATE_ADMIN_URL + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/app/node_modules/.bin/node", "/app/src/launch.js"]
CMD ["serve", "--config", "/etc/realmgate/realmgate.yaml"]
