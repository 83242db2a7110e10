BEGIN TRANSACTION;
CREATE TABLE entries (
  run INTEGER NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, number)
) WITHOUT ROWID;
INSERT INTO "entries" VALUES(1,1,'2026-11-28T04:14:33Z','Locked','{"by":"release engineer on here"}');
INSERT INTO "entries" VALUES(1,2,'2026-11-28T04:14:33Z','intent','{"act":"observe","service":"auth"}');
INSERT INTO "entries" VALUES(1,3,'2026-11-28T04:14:33Z','Observed','{"service":"auth","old":{"id":"id1","image":"old-3.9"},"interpreter":{"major":3,"minor":9}}');
INSERT INTO "entries" VALUES(1,4,'2026-11-28T04:14:33Z','intent','{"act":"observe","service":"user"}');
INSERT INTO "entries" VALUES(1,5,'2026-11-28T04:14:33Z','Observed','{"service":"user","old":{"id":"id2","image":"old-3.9"},"interpreter":{"major":3,"minor":9}}');
INSERT INTO "entries" VALUES(1,6,'2026-11-28T04:14:33Z','intent','{"act":"observe","service":"gateway"}');
INSERT INTO "entries" VALUES(1,7,'2026-11-28T04:14:33Z','Observed','{"service":"gateway","old":{"id":"id3","image":"old-3.9"},"interpreter":{"major":3,"minor":9}}');
INSERT INTO "entries" VALUES(1,8,'2026-11-28T04:14:33Z','intent','{"act":"prepare","service":"auth"}');
INSERT INTO "entries" VALUES(1,9,'2026-11-28T04:14:33Z','Prepared','{"service":"auth","new":{"id":"id5","image":"new-3.12"}}');
INSERT INTO "entries" VALUES(1,10,'2026-11-28T04:14:33Z','intent','{"act":"switch","service":"auth"}');
INSERT INTO "entries" VALUES(1,11,'2026-11-28T04:14:33Z','Switched','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,12,'2026-11-28T04:14:33Z','intent','{"act":"ready","service":"auth"}');
INSERT INTO "entries" VALUES(1,13,'2026-11-28T04:14:33Z','BecameReady','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,14,'2026-11-28T04:14:33Z','intent','{"act":"prepare","service":"user"}');
INSERT INTO "entries" VALUES(1,15,'2026-11-28T04:14:33Z','Prepared','{"service":"user","new":{"id":"id6","image":"new-3.12"}}');
INSERT INTO "entries" VALUES(1,16,'2026-11-28T04:14:33Z','intent','{"act":"switch","service":"user"}');
INSERT INTO "entries" VALUES(1,17,'2026-11-28T04:14:33Z','Switched','{"service":"user"}');
INSERT INTO "entries" VALUES(1,18,'2026-11-28T04:14:33Z','intent','{"act":"ready","service":"user"}');
INSERT INTO "entries" VALUES(1,19,'2026-11-28T04:14:33Z','BecameReady','{"service":"user"}');
INSERT INTO "entries" VALUES(1,20,'2026-11-28T04:14:33Z','intent','{"act":"prepare","service":"gateway"}');
INSERT INTO "entries" VALUES(1,21,'2026-11-28T04:14:33Z','Prepared','{"service":"gateway","new":{"id":"id7","image":"new-3.12"}}');
INSERT INTO "entries" VALUES(1,22,'2026-11-28T04:14:33Z','intent','{"act":"switch","service":"gateway"}');
INSERT INTO "entries" VALUES(1,23,'2026-11-28T04:14:33Z','Switched','{"service":"gateway"}');
INSERT INTO "entries" VALUES(1,24,'2026-11-28T04:14:33Z','intent','{"act":"ready","service":"gateway"}');
INSERT INTO "entries" VALUES(1,25,'2026-11-28T04:14:33Z','BecameReady','{"service":"gateway"}');
INSERT INTO "entries" VALUES(1,26,'2026-11-28T04:14:33Z','intent','{"act":"verify","service":"auth"}');
INSERT INTO "entries" VALUES(1,27,'2026-11-28T04:14:33Z','Verified','{"service":"auth"}');
INSERT INTO "entries" VALUES(1,28,'2026-11-28T04:14:33Z','intent','{"act":"verify","service":"user"}');
INSERT INTO "entries" VALUES(1,29,'2026-11-28T04:14:33Z','Verified','{"service":"user"}');
INSERT INTO "entries" VALUES(1,30,'2026-11-28T04:14:33Z','intent','{"act":"verify","service":"gateway"}');
INSERT INTO "entries" VALUES(1,31,'2026-11-28T04:14:33Z','Verified','{"service":"gateway"}');
INSERT INTO "entries" VALUES(1,32,'2026-11-28T04:14:33Z','Credited','{"seconds":600.0}');
INSERT INTO "entries" VALUES(1,33,'2026-11-28T04:14:33Z','Judged','{"verdict":"passed","reason":""}');
INSERT INTO "entries" VALUES(1,34,'2026-11-28T04:14:33Z','RollbackAsked','{"reason":"by hand","services":[],"by":"release engineer on here"}');
INSERT INTO "entries" VALUES(1,35,'2026-11-28T04:14:33Z','intent','{"act":"restore","service":"gateway"}');
INSERT INTO "entries" VALUES(1,36,'2026-11-28T04:14:33Z','note','"gateway had logged:\nthe log of it"');
INSERT INTO "entries" VALUES(1,37,'2026-11-28T04:14:33Z','Restored','{"service":"gateway"}');
INSERT INTO "entries" VALUES(1,38,'2026-11-28T04:14:33Z','intent','{"act":"restore","service":"user"}');
INSERT INTO "entries" VALUES(1,39,'2026-11-28T04:14:33Z','note','"user had logged:\nthe log of it"');
INSERT INTO "entries" VALUES(1,40,'2026-11-28T04:14:33Z','Restored','{"service":"user"}');
INSERT INTO "entries" VALUES(1,41,'2026-11-28T04:14:33Z','intent','{"act":"restore","service":"auth"}');
INSERT INTO "entries" VALUES(1,42,'2026-11-28T04:14:33Z','note','"auth had logged:\nthe log of it"');
INSERT INTO "entries" VALUES(1,43,'2026-11-28T04:14:33Z','Restored','{"service":"auth"}');
INSERT INTO "entries" VALUES(2,1,'2026-11-28T04:14:33Z','Locked','{"by":"release engineer on here"}');
INSERT INTO "entries" VALUES(2,2,'2026-11-28T04:14:33Z','intent','{"act":"observe","service":"billing"}');
INSERT INTO "entries" VALUES(2,3,'2026-11-28T04:14:33Z','Observed','{"service":"billing","old":{"id":"id4","image":"old-3.9"},"interpreter":{"major":3,"minor":9}}');
INSERT INTO "entries" VALUES(2,4,'2026-11-28T04:14:33Z','intent','{"act":"prepare","service":"billing"}');
INSERT INTO "entries" VALUES(2,5,'2026-11-28T04:14:33Z','Prepared','{"service":"billing","new":{"id":"id8","image":"new-3.12"}}');
INSERT INTO "entries" VALUES(2,6,'2026-11-28T04:14:33Z','intent','{"act":"switch","service":"billing"}');
INSERT INTO "entries" VALUES(2,7,'2026-11-28T04:14:33Z','Switched','{"service":"billing"}');
INSERT INTO "entries" VALUES(2,8,'2026-11-28T04:14:33Z','intent','{"act":"ready","service":"billing"}');
INSERT INTO "entries" VALUES(2,9,'2026-11-28T04:14:33Z','BecameReady','{"service":"billing"}');
INSERT INTO "entries" VALUES(2,10,'2026-11-28T04:14:33Z','intent','{"act":"verify","service":"billing"}');
INSERT INTO "entries" VALUES(2,11,'2026-11-28T04:14:33Z','Verified','{"service":"billing"}');
INSERT INTO "entries" VALUES(2,12,'2026-11-28T04:14:33Z','Credited','{"seconds":600.0}');
INSERT INTO "entries" VALUES(2,13,'2026-11-28T04:14:33Z','Judged','{"verdict":"passed","reason":""}');
INSERT INTO "entries" VALUES(2,14,'2026-11-28T04:14:33Z','Outdated','{"reason":"stage 1 was rolled back under it"}');
CREATE TABLE identity (name TEXT NOT NULL);
INSERT INTO "identity" VALUES('383b87ce8a8167c3f1bffab464b3f082');
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, environment TEXT NOT NULL, stage INTEGER NOT NULL,
  begun TEXT NOT NULL, owner TEXT NOT NULL, document TEXT NOT NULL
);
INSERT INTO "runs" VALUES(1,'r1','test',1,'2026-11-28T04:14:33Z','ddc448ca-289b-4397-bcde-74456266ef6a/pid:[4026531836]/0/11230/194293','{"run":"r1","environment":"test","stage":1,"target":{"major":3,"minor":12},"deployments":[{"spec":{"service":"auth","container":"auth","port":0,"health":"","version":"","grpc":null,"health_command":[],"network":"","publish":[],"environment":[],"ready_timeout":2.0,"readiness_delay":0.0,"monitor":60.0,"drain":30.0,"retain":5,"namespace":"","pod_container":""},"image":"new-3.12","observed":false,"old":null,"old_interpreter":null,"new":null,"switched":false,"ready":false,"verified":false,"restored":false,"stranger":"","wants_twin":false,"twin":null,"no_twin":"","twin_removed":false},{"spec":{"service":"user","container":"user","port":0,"health":"","version":"","grpc":null,"health_command":[],"network":"","publish":[],"environment":[],"ready_timeout":2.0,"readiness_delay":0.0,"monitor":60.0,"drain":30.0,"retain":5,"namespace":"","pod_container":""},"image":"new-3.12","observed":false,"old":null,"old_interpreter":null,"new":null,"switched":false,"ready":false,"verified":false,"restored":false,"stranger":"","wants_twin":false,"twin":null,"no_twin":"","twin_removed":false},{"spec":{"service":"gateway","container":"gateway","port":0,"health":"","version":"","grpc":null,"health_command":[],"network":"","publish":[],"environment":[],"ready_timeout":2.0,"readiness_delay":0.0,"monitor":60.0,"drain":30.0,"retain":5,"namespace":"","pod_container":""},"image":"new-3.12","observed":false,"old":null,"old_interpreter":null,"new":null,"switched":false,"ready":false,"verified":false,"restored":false,"stranger":"","wants_twin":false,"twin":null,"no_twin":"","twin_removed":false}],"soak":600.0,"configuration":"","asked":[],"planned":[],"state":"planned","credited":0.0,"verdict":"pending","reason":"","scope":[],"unrestored":[],"held_for":[],"decided":[],"first_slot":1,"stale":"","needs_drill":false,"is_drill":false,"contracts":[],"kept":[],"place":"","shares":[],"drill":""}');
INSERT INTO "runs" VALUES(2,'r2','test',2,'2026-11-28T04:14:33Z','ddc448ca-289b-4397-bcde-74456266ef6a/pid:[4026531836]/0/11230/194293','{"run":"r2","environment":"test","stage":2,"target":{"major":3,"minor":12},"deployments":[{"spec":{"service":"billing","container":"billing","port":0,"health":"","version":"","grpc":null,"health_command":[],"network":"","publish":[],"environment":[],"ready_timeout":2.0,"readiness_delay":0.0,"monitor":60.0,"drain":30.0,"retain":5,"namespace":"","pod_container":""},"image":"new-3.12","observed":false,"old":null,"old_interpreter":null,"new":null,"switched":false,"ready":false,"verified":false,"restored":false,"stranger":"","wants_twin":false,"twin":null,"no_twin":"","twin_removed":false}],"soak":600.0,"configuration":"","asked":[],"planned":[],"state":"planned","credited":0.0,"verdict":"pending","reason":"","scope":[],"unrestored":[],"held_for":[],"decided":[],"first_slot":1,"stale":"","needs_drill":false,"is_drill":false,"contracts":[],"kept":[],"place":"","shares":[],"drill":""}');
CREATE TABLE samples (
  run INTEGER NOT NULL, service INTEGER NOT NULL, slot INTEGER NOT NULL,
  wall REAL NOT NULL, boottime REAL NOT NULL, boot TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, service, slot)
) WITHOUT ROWID;
CREATE INDEX runs_of_stages ON runs (environment, stage, id);
COMMIT;
