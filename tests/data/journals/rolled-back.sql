BEGIN TRANSACTION;
CREATE TABLE entries (
  run INTEGER NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, number)
) WITHOUT ROWID;
INSERT INTO "entries" VALUES(1,1,'2026-11-28T04:14:33Z','Locked','{"by":"release engineer on here"}');
INSERT INTO "entries" VALUES(1,2,'2026-11-28T04:14:33Z','intent','{"act":"observe","service":"auth"}');
INSERT INTO "entries" VALUES(1,3,'2026-11-28T04:14:33Z','Observed','{"service":"auth","old":{"id":"id1","image":"old-3.9"},"interpreter":{"major":3,"minor":9}}');
INSERT INTO "entries" VALUES(1,4,'2026-11-28T04:14:33Z','intent','{"act":"prepare","service":"auth"}');
INSERT INTO "entries" VALUES(1,5,'2026-11-28T04:14:33Z','Prepared','{"service":"auth","new":{"id":"id4","image":"new-3.12"}}');
INSERT INTO "entries" VALUES(1,6,'2026-11-28T04:14:33Z','intent','{"act":"switch","service":"auth"}');
INSERT INTO "entries" VALUES(1,7,'2026-11-28T04:14:33Z','Switched','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,8,'2026-11-28T04:14:33Z','intent','{"act":"ready","service":"auth"}');
INSERT INTO "entries" VALUES(1,9,'2026-11-28T04:14:33Z','BecameReady','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,10,'2026-11-28T04:14:33Z','intent','{"act":"verify","service":"auth"}');
INSERT INTO "entries" VALUES(1,11,'2026-11-28T04:14:33Z','Verified','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,12,'2026-11-28T04:14:33Z','Credited','{"seconds":600.0}');
INSERT INTO "entries" VALUES(1,13,'2026-11-28T04:14:33Z','Judged','{"verdict":"passed","reason":""}');
INSERT INTO "entries" VALUES(1,14,'2026-11-28T04:14:33Z','RollbackAsked','{"reason":"by hand","services":[],"by":"release engineer on here"}');
INSERT INTO "entries" VALUES(1,15,'2026-11-28T04:14:33Z','intent','{"act":"restore","service":"auth"}');
INSERT INTO "entries" VALUES(1,16,'2026-11-28T04:14:33Z','note','"release engineer took it over from release engineer on here (stage 1, run r1, since 2026-11-28T04:14:33Z)"');
INSERT INTO "entries" VALUES(1,17,'2026-11-28T04:14:33Z','Resumed','{"by":"release engineer on here"}');
INSERT INTO "entries" VALUES(1,18,'2026-11-28T04:14:33Z','intent','{"act":"restore","service":"auth"}');
INSERT INTO "entries" VALUES(1,19,'2026-11-28T04:14:33Z','note','"auth had logged:\nthe log of it"');
INSERT INTO "entries" VALUES(1,20,'2026-11-28T04:14:33Z','Restored','{"service":"auth"}');
INSERT INTO "entries" VALUES(2,1,'2026-11-28T04:14:33Z','Locked','{"by":"release engineer on here"}');
INSERT INTO "entries" VALUES(2,2,'2026-11-28T04:14:33Z','intent','{"act":"observe","service":"auth"}');
INSERT INTO "entries" VALUES(2,3,'2026-11-28T04:14:33Z','Observed','{"service":"auth","old":{"id":"id4","image":"new-3.12"},"interpreter":{"major":3,"minor":12}}');
INSERT INTO "entries" VALUES(2,4,'2026-11-28T04:14:33Z','intent','{"act":"prepare","service":"auth"}');
INSERT INTO "entries" VALUES(2,5,'2026-11-28T04:14:33Z','Prepared','{"service":"auth","new":{"id":"id5","image":"newer-3.12"}}');
INSERT INTO "entries" VALUES(2,6,'2026-11-28T04:14:33Z','intent','{"act":"switch","service":"auth"}');
INSERT INTO "entries" VALUES(2,7,'2026-11-28T04:14:33Z','Switched','{"service":"auth"}');
INSERT INTO "entries" VALUES(2,8,'2026-11-28T04:14:33Z','intent','{"act":"ready","service":"auth"}');
INSERT INTO "entries" VALUES(2,9,'2026-11-28T04:14:33Z','DeployFailed','{"service":"auth","reason":"exit code 1"}');
INSERT INTO "entries" VALUES(2,10,'2026-11-28T04:14:33Z','intent','{"act":"restore","service":"auth"}');
INSERT INTO "entries" VALUES(2,11,'2026-11-28T04:14:33Z','note','"auth had logged:\nthe log of it"');
INSERT INTO "entries" VALUES(2,12,'2026-11-28T04:14:33Z','Restored','{"service":"auth"}');
CREATE TABLE identity (name TEXT NOT NULL);
INSERT INTO "identity" VALUES('a4b803fa51a65bf061341573794c6583');
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, environment TEXT NOT NULL, stage INTEGER NOT NULL,
  begun TEXT NOT NULL, owner TEXT NOT NULL, document TEXT NOT NULL
);
INSERT INTO "runs" VALUES(1,'r1','test',1,'2026-11-28T04:14:33Z','ddc448ca-289b-4397-bcde-74456266ef6a/pid:[4026531836]/0/11230/194293','{"run":"r1","environment":"test","stage":1,"target":{"major":3,"minor":12},"deployments":[{"spec":{"service":"auth","container":"auth","port":0,"health":"","version":"","grpc":null,"health_command":[],"network":"","publish":[],"environment":[],"ready_timeout":2.0,"readiness_delay":0.0,"monitor":60.0,"drain":30.0,"retain":5,"namespace":"","pod_container":""},"image":"new-3.12","observed":false,"old":null,"old_interpreter":null,"new":null,"switched":false,"ready":false,"verified":false,"restored":false,"stranger":"","wants_twin":false,"twin":null,"no_twin":"","twin_removed":false}],"soak":600.0,"configuration":"","asked":[],"planned":[],"state":"planned","credited":0.0,"verdict":"pending","reason":"","scope":[],"unrestored":[],"held_for":[],"decided":[],"first_slot":1,"stale":"","needs_drill":false,"is_drill":false,"contracts":[],"kept":[],"place":"","shares":[],"drill":""}');
INSERT INTO "runs" VALUES(2,'r2','test',1,'2026-11-28T04:14:33Z','ddc448ca-289b-4397-bcde-74456266ef6a/pid:[4026531836]/0/11230/194293','{"run":"r2","environment":"test","stage":1,"target":{"major":3,"minor":12},"deployments":[{"spec":{"service":"auth","container":"auth","port":0,"health":"","version":"","grpc":null,"health_command":[],"network":"","publish":[],"environment":[],"ready_timeout":2.0,"readiness_delay":0.0,"monitor":60.0,"drain":30.0,"retain":5,"namespace":"","pod_container":""},"image":"newer-3.12","observed":false,"old":null,"old_interpreter":null,"new":null,"switched":false,"ready":false,"verified":false,"restored":false,"stranger":"","wants_twin":false,"twin":null,"no_twin":"","twin_removed":false}],"soak":600.0,"configuration":"","asked":[],"planned":[],"state":"planned","credited":0.0,"verdict":"pending","reason":"","scope":[],"unrestored":[],"held_for":[],"decided":[],"first_slot":1,"stale":"","needs_drill":false,"is_drill":false,"contracts":[],"kept":[],"place":"","shares":[],"drill":""}');
CREATE TABLE samples (
  run INTEGER NOT NULL, service INTEGER NOT NULL, slot INTEGER NOT NULL,
  wall REAL NOT NULL, boottime REAL NOT NULL, boot TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, service, slot)
) WITHOUT ROWID;
CREATE INDEX runs_of_stages ON runs (environment, stage, id);
COMMIT;
