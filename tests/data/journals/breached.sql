BEGIN TRANSACTION;
CREATE TABLE entries (
  run INTEGER NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, number)
) WITHOUT ROWID;
INSERT INTO "entries" VALUES(1,1,'2026-11-28T04:14:24Z','Locked','{"by":"operator on host"}');
INSERT INTO "entries" VALUES(1,2,'2026-11-28T04:14:24Z','intent','{"act":"observe","service":"auth"}');
INSERT INTO "entries" VALUES(1,3,'2026-11-28T04:14:24Z','Observed','{"service":"auth","old":{"id":"id1","image":"old-3.9"},"interpreter":{"major":3,"minor":9}}');
INSERT INTO "entries" VALUES(1,4,'2026-11-28T04:14:24Z','intent','{"act":"prepare","service":"auth"}');
INSERT INTO "entries" VALUES(1,5,'2026-11-28T04:14:24Z','Prepared','{"service":"auth","new":{"id":"id3","image":"new-3.12"}}');
INSERT INTO "entries" VALUES(1,6,'2026-11-28T04:14:24Z','intent','{"act":"switch","service":"auth"}');
INSERT INTO "entries" VALUES(1,7,'2026-11-28T04:14:24Z','Switched','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,8,'2026-11-28T04:14:24Z','intent','{"act":"ready","service":"auth"}');
INSERT INTO "entries" VALUES(1,9,'2026-11-28T04:14:24Z','BecameReady','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,10,'2026-11-28T04:14:24Z','intent','{"act":"verify","service":"auth"}');
INSERT INTO "entries" VALUES(1,11,'2026-11-28T04:14:24Z','Verified','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,12,'2026-11-28T04:14:24Z','ContractKept','{"edge":"gateway->auth","detail":"gateway->auth  /verify  kept: not tried: the old auth does not run (`twin = true` lets it run beside the new one)\n    old -> new: holds"}');
INSERT INTO "entries" VALUES(1,13,'2026-11-28T04:14:24Z','Breached','{"breach":{"service":"auth","metric":"contract gateway->auth","severity":"severe","reaction":"hold","detail":"new: KeyError"}}');
CREATE TABLE identity (name TEXT NOT NULL);
INSERT INTO "identity" VALUES('857cd6537964ff7ee831ec2591bfb637');
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, environment TEXT NOT NULL, stage INTEGER NOT NULL,
  begun TEXT NOT NULL, owner TEXT NOT NULL, document TEXT NOT NULL
);
INSERT INTO "runs" VALUES(1,'20261128t041424z-e62931','test',1,'2026-11-28T04:14:24Z','test','{"run":"20261128t041424z-e62931","environment":"test","stage":1,"target":{"major":3,"minor":12},"deployments":[{"spec":{"service":"auth","container":"auth","port":0,"health":"","version":"","grpc":null,"health_command":[],"network":"","publish":[],"environment":[],"ready_timeout":30.0,"readiness_delay":0.0,"monitor":60.0,"drain":30.0,"retain":5,"namespace":"","pod_container":""},"image":"new-3.12","observed":false,"old":null,"old_interpreter":null,"new":null,"switched":false,"ready":false,"verified":false,"restored":false,"stranger":"","wants_twin":false,"twin":null,"no_twin":"","twin_removed":false}],"soak":180.0,"configuration":"5e9c14141f01829e","asked":[],"planned":[["duration",180.0],["interval",60.0]],"state":"planned","credited":0.0,"verdict":"pending","reason":"","scope":[],"unrestored":[],"held_for":[],"decided":[],"first_slot":1,"stale":"","needs_drill":false,"is_drill":false,"contracts":["gateway->auth"],"kept":[],"place":"","shares":[],"drill":""}');
CREATE TABLE samples (
  run INTEGER NOT NULL, service INTEGER NOT NULL, slot INTEGER NOT NULL,
  wall REAL NOT NULL, boottime REAL NOT NULL, boot TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, service, slot)
) WITHOUT ROWID;
CREATE INDEX runs_of_stages ON runs (environment, stage, id);
COMMIT;
